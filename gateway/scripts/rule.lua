-- rule: one rule of a room (who is muted, slow mode, a lock) or a ban is set, or lifted. Setting one again
-- changes nothing but its end, so that each gateway may do it.
--
-- KEYS  4 its key: a string; of those who are muted a hash
-- ARGV  5 field of the hash, '' for a string   6 value: of the hash with the end before it
--       7 its end in ms since 1970, '0': it is lifted
local key, field, value, ends = KEYS[4], ARGV[5], ARGV[6], count_in(7)
local now = tonumber(now_ms())
local left_ms = ends - now

-- What has ended goes with it, and the hash lasts as long as what is left.
local function lift()
    local last = 0
    redis.call('HDEL', key, field)
    local there = redis.call('HGETALL', key)
    for i = 1, #there, 2 do
        local end_ms = tonumber(string.match(there[i + 1], '^(%d+)') or '')
        if not is_count(end_ms) or end_ms <= now then
            redis.call('HDEL', key, there[i])
        else
            last = math.max(last, end_ms)
        end
    end
    if last > 0 then
        redis.call('PEXPIRE', key, digits(last - now))
    end
end

mend(key, field == '' and 'string' or 'hash')
if left_ms <= 0 then
    if field == '' then
        redis.call('DEL', key)
    else
        lift()
    end
elseif field == '' then
    redis.call('SET', key, value, 'PX', digits(left_ms))
else
    local longest = redis.call('PTTL', key)
    redis.call('HSET', key, field, value)
    redis.call('PEXPIRE', key, digits(math.max(longest, left_ms)))
end
return 1
