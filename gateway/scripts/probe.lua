-- probe: goes the way of a member through a room that nobody can be in: whatever Redis would refuse
-- a member, it refuses this. What it publishes comes back to the gateway over the room's channel.
--
-- KEYS  4 members   5 member:NAME   6 nonces:ID
-- ARGV  5 what is published
local members, member, nonces, payload = KEYS[4], KEYS[5], KEYS[6], ARGV[5]
local call = redis.call
-- Each key has a TTL from the first write on: what is refused then leaves none for ever. The head
-- is given its own where a room begins, `recent` where an event is kept.
local _, last, messages = position()
local seq = digits(last + 1)
local failed = append(seq, now_ms(), payload, digits(messages + 1))
if failed then
    return redis.error_reply(failed)
end

mend(members, 'set')
call('HSET', member, 'id', payload)
call('EXPIRE', member, head_ttl)
call('HGET', member, 'id')
call('EXISTS', member)
call('SADD', members, 'probe', 'left')
call('EXPIRE', members, head_ttl)
call('SREM', members, 'left')
call('SISMEMBER', members, 'probe')
call('SRANDMEMBER', members, 1)
call('SCARD', members)
call('ZSCORE', nonces, payload)
call('ZADD', nonces, seq, payload)
call('EXPIRE', nonces, head_ttl)
call('ZREMRANGEBYRANK', nonces, '0', '-3')
call('DEL', members, member, nonces) -- whoever looks at the rooms finds nobody there
call('XRANGE', recent, '-', '+', 'COUNT', '1')
publish({payload}, seq, digits(messages + 1))
call('EXPIRE', head, head_ttl)
return last + 1
