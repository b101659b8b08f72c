-- leave: a member goes. Does nothing when the member has come back elsewhere meanwhile, or has left
-- already: the session says which of its lives this is about.
--
-- KEYS  4 members   5 member:NAME
-- ARGV  5 folded name   6 gateway   7 session   8 '1': the member said so, and the token ends
--       9 key of left without the id
--       10 an id to spare, '' for none: it came back, though this gateway was not told so in time
--
-- Returns the number of the event, or 0 when there was nothing to do.
local members, member = KEYS[4], KEYS[5]
local folded, gateway, session, said = ARGV[5], ARGV[6], ARGV[7], ARGV[8] == '1'

mend(members, 'set')
local there = fields(member, 'gateway', 'session', 'id', 'name', 'resume', 'floor')
if there[1] ~= gateway or there[2] ~= session or there[3] == ARGV[10] then
    return 0
end
local count = redis.call('SCARD', members) - redis.call('SISMEMBER', members, folded)
local seq = emit_presence('', left_person(there[3], there[4]), count)

redis.call('DEL', member)
redis.call('SREM', members, folded)
-- The nonces stay until they expire: a line that was stuck on a dead path may still come again.
if not said and retention > 0 then
    local left = ARGV[9] .. there[3]
    redis.call('HSET', left, 'resume', there[5], 'floor', there[6])
    redis.call('EXPIRE', left, retention)
end
return seq
