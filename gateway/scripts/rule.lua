-- rule: one rule of a room (who is muted, slow mode, a lock) or a ban is set, or lifted. Setting one again
-- changes nothing but its end, so that each gateway may do it.
--
-- KEYS  4 its key: a string; of those who are muted a hash
-- ARGV  5 field of the hash, '' for a string   6 value: of the hash with the end before it
--       7 its end in ms since 1970, '0': it is lifted
local key, field, value, ends = KEYS[4], ARGV[5], ARGV[6], count_in(7)
local left_ms = ends - tonumber(now_ms())

mend(key, field == '' and 'string' or 'hash')
if left_ms <= 0 then
    return field == '' and redis.call('DEL', key) or redis.call('HDEL', key, field)
elseif field == '' then
    redis.call('SET', key, value, 'PX', digits(left_ms))
else
    local longest = redis.call('PTTL', key)
    redis.call('HSET', key, field, value)
    redis.call('PEXPIRE', key, digits(math.max(longest, left_ms)))
end
return 1
