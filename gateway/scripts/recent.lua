-- recent: what happened after a number, for a gateway that opens a room or missed something.
--
-- ARGV  5 the last number it knows   6 events at most
--
-- Returns {epoch, number of the last event, messages up to it, now in ms, forks,
--          then ms, JSON, messages up to it of each event}.
local from = digits(count_in(5) + 1) .. '-0'
count_in(6)
local epoch, seq, said, forks = position()
local to = digits(seq) .. '-0'
local answer = {epoch, seq, said, now_ms(), forks}

mend(recent, 'stream')
for _, entry in ipairs(redis.call('XRANGE', recent, from, to, 'COUNT', ARGV[6])) do
    local id, kept = entry[1], entry[2]
    if string.sub(id, -2) == '-0' and kept[3] == 'event' then -- else somebody has added it by hand
        answer[#answer + 1] = kept[2]
        answer[#answer + 1] = kept[4]
        answer[#answer + 1] = kept[6] or '0'
    end
end
return answer
