-- leave: members go, those of one room who left in one turn of a gateway's loop: one event tells of
-- them. Nothing is done for one who has come back elsewhere meanwhile, or has left already: the
-- session says which of its lives this is about.
--
-- KEYS  4 members   5… member:NAME of each
-- ARGV  5 gateway   6 key of left without the id   7 key of a member without the name
--       8… of each member:
--          session
--          '1': the member said so, and the token ends
--          an id to spare, '' for none: it came back, though this gateway was not told so in time
--
-- Returns the number of the event, or 0 when there was nothing to do.
local members, gateway, left_key, name_at = KEYS[4], ARGV[5], ARGV[6], #ARGV[7] + 1
local gone, names, people, count = {}, {}, {}, 0

mend(members, 'set')
for i = 5, #KEYS do
    local at = 8 + (i - 5) * 3
    local session, said, spared = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2]
    local there = fields(KEYS[i], 'gateway', 'session', 'id', 'name', 'resume', 'floor')
    if there[1] == gateway and there[2] == session and there[3] ~= spared then
        local name = string.sub(KEYS[i], name_at)
        gone[#gone + 1] = {key = KEYS[i], id = there[3], hash = there[5], floor = there[6], said = said}
        names[#names + 1] = name
        people[#people + 1] = left_person(there[3], there[4])
        count = count + redis.call('SISMEMBER', members, name)
    end
end
if #gone == 0 then
    return 0
end

-- First what may fail (numbering and keeping the event), then the keys.
local seq = emit_presence('', table.concat(people, ','), redis.call('SCARD', members) - count)
redis.call('SREM', members, unpack(names))
for _, member in ipairs(gone) do
    redis.call('DEL', member.key)
    -- The nonces stay until they expire: a line that was stuck on a dead path may still come again.
    if not member.said and retention > 0 then
        local left = left_key .. member.id
        redis.call('HSET', left, 'resume', member.hash, 'floor', member.floor)
        redis.call('EXPIRE', left, retention)
    end
end
return seq
