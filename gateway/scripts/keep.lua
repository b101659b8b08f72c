-- alone: prelude.lua is not put before this one; it is about a gateway and not a room.
--
-- keep: adds to a set that lives so long from now on, as one: a connection cut in between must not leave a key
-- that stays for ever. A key of another type, made by hand, is as good as none.
--
-- KEYS  1 the set
-- ARGV  1 its ttl in s   2… items
--
-- Returns 1 when the key was of another type, else 0.
local key, ttl = KEYS[1], ARGV[1]
local kind = redis.call('TYPE', key).ok
local broken = kind ~= 'set' and kind ~= 'none'
if broken then
    redis.call('DEL', key)
end
redis.call('SADD', key, unpack(ARGV, 2))
redis.call('EXPIRE', key, ttl)
return broken and 1 or 0
