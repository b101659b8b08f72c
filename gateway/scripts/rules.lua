-- rules: what holds in a room at the moment, for a gateway that opens it. Ends of those who are muted that
-- have passed are taken away.
--
-- KEYS  4 locked   5 slow   6 muted
--
-- Returns {ms left of the lock (-2: none, -1: no end), its reason, the same of slow mode: ms, value,
--          then field and value of each who is muted}.
local now = tonumber(now_ms())

local function text_of(key)
    mend(key, 'string')
    return redis.call('GET', key) or ''
end

local lock, slow = text_of(KEYS[4]), text_of(KEYS[5])
local answer = {redis.call('PTTL', KEYS[4]), lock, redis.call('PTTL', KEYS[5]), slow}
local muted = of_type('HGETALL', KEYS[6])
for i = 1, #muted, 2 do
    local ends = tonumber(string.match(muted[i + 1], '^(%d+)') or '')
    if ends and ends > now then
        answer[#answer + 1] = muted[i]
        answer[#answer + 1] = muted[i + 1]
    else
        redis.call('HDEL', KEYS[6], muted[i])
    end
end
return answer
