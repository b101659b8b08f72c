-- recent: what happened after a number, for a gateway that opens a room or missed something.
--
-- ARGV  5 the last number it knows   6 events at most
--
-- Returns {epoch, number of the last event, messages up to it, now in ms, forks,
--          then ms, JSON, messages up to it of each event}.
local epoch, seq, said, forks = position()
local answer = {epoch, seq, said, now_ms(), forks}
local from = string.format('%.0f-0', tonumber(ARGV[5]) + 1)

for _, entry in ipairs(redis.call('XRANGE', recent, from, '+', 'COUNT', ARGV[6])) do
    answer[#answer + 1] = entry[2][2]
    answer[#answer + 1] = entry[2][4]
    answer[#answer + 1] = entry[2][6] or '0'
end
return answer
