-- publish: a member says something. Returns the number under which everybody will see it.
-- A nonce that this member used before returns the first number and publishes nothing, so a repeat
-- after a reconnect is harmless.
--
-- KEYS  4 nonces of this member (sorted set: nonce by number)
-- ARGV  5 the event's JSON from "from" on   6 nonce or ''   7 nonces kept at most
--       8 seconds that nonces live
--       9 the epoch in which it was first said, or '': should Redis have lost its memory since, nobody
--         knows any more whether it was shown, and it is refused
local nonces = KEYS[4]
local body, nonce, most_nonces, nonce_ttl = ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8]
local first_epoch = ARGV[9]

if nonce ~= '' then
    local seen = redis.pcall('ZSCORE', nonces, nonce)
    if type(seen) == 'table' then -- another type, by hand
        redis.call('DEL', nonces)
    elseif seen then
        return tonumber(seen)
    end
end

if first_epoch ~= '' and position() ~= first_epoch then
    return redis.error_reply('OTHEREPOCH Redis lost its memory since this was first said')
end

local seq = emit(1, function(number, at)
    return '{"type":"message","seq":' .. number .. ',"at":' .. at .. ',' .. body
end)

if nonce ~= '' then
    redis.call('ZADD', nonces, seq, nonce)
    redis.call('ZREMRANGEBYRANK', nonces, 0, -1 - most_nonces)
    redis.call('EXPIRE', nonces, nonce_ttl)
end
return seq
