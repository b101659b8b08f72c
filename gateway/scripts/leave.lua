-- leave: a member goes. Does nothing when the member has come back elsewhere meanwhile.
--
-- KEYS  4 members   5 member:NAME   6 left:ID   7 nonces:ID
-- ARGV  5 folded name   6 id   7 gateway   8 session   9 '1': the member said so, and the token ends
--
-- Returns the number of the event, or 0 when there was nothing to do.
local members, member, left, nonces = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local folded, id, gateway, session, said = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9] == '1'

local there = redis.call('HMGET', member, 'id', 'gateway', 'session', 'name', 'resume', 'floor')
if there[1] ~= id or there[2] ~= gateway or there[3] ~= session then
    return 0
end
redis.call('DEL', member)
redis.call('SREM', members, folded)
if said then
    redis.call('DEL', nonces)
elseif retention > 0 then
    redis.call('HSET', left, 'resume', there[5], 'floor', there[6])
    redis.call('EXPIRE', left, retention)
end
return emit_presence('', left_person(id, there[4]), redis.call('SCARD', members))
