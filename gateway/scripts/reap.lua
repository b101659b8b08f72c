-- reap: takes the members of a dead gateway off the list and announces them. However many gateways
-- try at once, each name is found by one of them only.
--
-- KEYS  4 members
-- ARGV  5 the dead gateway   6 key of a member without the name   7 key of left without the id
--       8 beginning of the sessions to spare: a gateway that came back reaps its earlier incarnation
--       9… folded names to look at
--
-- Returns how many were taken off.
local members, dead, member_key, left_key = KEYS[4], ARGV[5], ARGV[6], ARGV[7]
local spared = ARGV[8]
local most_names = 50 -- in one event: MESSAGE_PRESENCE_NAMES, as many as a client is told
local gone, seen = {}, {}

local function is_spared(session)
    return spared ~= '' and session and string.sub(session, 1, #spared) == spared
end

local function look_at(folded)
    local key = member_key .. folded
    local there = fields(key, 'gateway', 'id', 'name', 'resume', 'floor', 'session', 'asked_at',
                         'floor_epoch')
    if not there[1] then
        redis.call('SREM', members, folded)
    elseif there[1] == dead and not is_spared(there[6]) then
        gone[#gone + 1] = {key = key, folded = folded, id = there[2], name = there[3],
                           hash = there[2] and there[4], floor = there[5], session = there[6],
                           asked_at = there[7], floor_epoch = there[8]}
    end
end

-- As many as one event tells of. First what may fail (numbering and keeping the event), then the
-- keys: nobody goes without a word.
local function take_off(first, last)
    local people, names, listed = {}, {}, 0
    for i = first, last do
        local member = gone[i]
        names[#names + 1] = member.folded
        listed = listed + redis.call('SISMEMBER', members, member.folded)
        people[#people + 1] = person_json(member.id, member.name)
    end
    emit_presence('', table.concat(people, ','), redis.call('SCARD', members) - listed)
    redis.call('SREM', members, unpack(names))
    for i = first, last do
        redis.call('DEL', gone[i].key)
        keep_token(left_key .. (gone[i].id or ''), gone[i])
    end
end

mend(members, 'set')
for i = 9, #ARGV do
    if not seen[ARGV[i]] then -- SSCAN may name somebody twice
        seen[ARGV[i]] = true
        look_at(ARGV[i])
    end
end
for first = 1, #gone, most_names do
    take_off(first, math.min(first + most_names - 1, #gone))
end
return #gone
