-- publish: what members said to a room in one iteration of a gateway's loop. Answers, for each in order,
-- the number under which everybody will see it, or an error.
-- A nonce that a member used before is answered with the first number and nothing is published, so
-- a repeat after a reconnect is harmless.
--
-- KEYS  4… of each message with a nonce: the nonces of who says it (sorted set: nonce by number)
-- ARGV  5 nonces kept at most   6 ttl of nonces in s
--       7… of each message:
--          the event's JSON from "from" on
--          nonce or ''
--          the epoch in which it was first said, or '': should another one have begun since (Redis
--          lost the room, or goes on with another history), nobody knows whether it was shown,
--          and it is refused
local most_nonces, nonce_ttl = digits(-1 - count_in(5, 1)), ARGV[6]
local epoch, seq, messages, at -- where the room is; not looked up for repeats alone
local events, answers = {}, {}

-- The number under which it was said, or nil; and why that cannot be known.
local function number_of(nonces, nonce)
    local seen = redis.pcall('ZSCORE', nonces, nonce)
    if is_wrong_type(seen) then
        redis.call('DEL', nonces)
        return nil
    elseif type(seen) == 'table' then
        return nil, seen.err
    end
    local number = tonumber(seen or '')
    return is_count(number) and number or nil -- else broken by hand
end

local function remember(nonces, nonce, number)
    redis.call('ZADD', nonces, number, nonce)
    redis.call('EXPIRE', nonces, nonce_ttl)
    redis.call('ZREMRANGEBYRANK', nonces, '0', most_nonces)
end

local function say(body, nonces, nonce, first_epoch)
    local seen, refused
    if nonces then
        seen, refused = number_of(nonces, nonce)
    end
    if seen then
        return seen
    elseif refused then -- alone: what was kept before it in this call is published at the end
        return redis.error_reply(refused)
    end
    if not epoch then
        epoch, seq, messages = position()
        at = now_ms()
    end
    if first_epoch ~= '' and epoch ~= first_epoch then
        return redis.error_reply('OTHEREPOCH another epoch has begun since this was first said')
    end
    local number = digits(seq + 1)
    local event = '{"type":"message","seq":' .. number .. ',"at":' .. at .. ',' .. body
    local failed = append(number, at, event, digits(messages + 1))
    if failed then
        return redis.error_reply(failed)
    end
    seq, messages = seq + 1, messages + 1
    events[#events + 1] = with_epoch(event)
    if nonces then
        remember(nonces, nonce, number)
    end
    return seq
end

local with_nonce = 0
for i = 8, #ARGV, 3 do
    with_nonce = with_nonce + (ARGV[i] ~= '' and 1 or 0)
end
count_in(6, 1)
must(#ARGV % 3 == 0 and #KEYS == 3 + with_nonce, 'three words for each message, a key for each nonce')

local key = 3
for i = 7, #ARGV, 3 do
    local nonces
    if ARGV[i + 1] ~= '' then
        key = key + 1
        nonces = KEYS[key]
    end
    answers[#answers + 1] = say(ARGV[i], nonces, ARGV[i + 1], ARGV[i + 2])
end
if #events > 0 then
    publish(events, digits(seq), digits(messages))
end
return answers
