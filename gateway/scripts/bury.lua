-- bury: takes the members of a dead gateway off the list and announces them. However many gateways
-- try at once, each name is found by one of them only.
--
-- KEYS  4 members
-- ARGV  5 the dead gateway   6 key of a member without the name   7 key of left without the id
--       8 beginning of the sessions to spare: a gateway that came back buries its own earlier life
--       9… folded names to look at
--
-- Returns how many were taken off.
local members, dead, member_key, left_key = KEYS[4], ARGV[5], ARGV[6], ARGV[7]
local spared = ARGV[8]
local most_names = 50 -- in one event: MESSAGE_PRESENCE_NAMES, as many as a client is told
local gone, people = 0, {}

for i = 9, #ARGV do
    local key = member_key .. ARGV[i]
    local there = fields(key, 'gateway', 'id', 'name', 'resume', 'floor', 'session')
    local id, name, session = there[2], there[3], there[6]
    local living = spared ~= '' and session and string.sub(session, 1, #spared) == spared
    if there[1] == dead and not living then
        gone = gone + 1
        if id then
            keep_token(left_key .. id, there[4], there[5])
        end
        if id and name then -- else somebody has broken it by hand, and the count alone is told
            people[#people + 1] = person_json(id, name)
        end
        redis.call('DEL', key)
        redis.call('SREM', members, ARGV[i])
    elseif not there[1] then
        redis.call('SREM', members, ARGV[i])
    end
end
local count = redis.call('SCARD', members)
for i = 1, math.max(#people, math.min(gone, 1)), most_names do
    local last = math.min(i + most_names - 1, #people)
    emit_presence('', table.concat(people, ',', i, last), count + #people - last)
end
return gone
