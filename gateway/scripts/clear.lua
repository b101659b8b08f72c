-- clear: what was said in a room up to a number is forgotten. In place of each event that is kept stands one
-- that tells of nobody: numbers have no holes, so whoever comes back has missed nothing, and sees nothing.
--
-- KEYS  4 members
-- ARGV  5 the last number to forget; '0': all, should nobody be in the room
local upto = count_in(5)
local _, seq, messages = position()

mend(recent, 'stream')
mend(KEYS[4], 'set')
local count = redis.call('SCARD', KEYS[4])
local first = redis.call('XRANGE', recent, '-', '+', 'COUNT', '1')[1]
if upto == 0 and count == 0 then
    upto = seq
end
upto = math.min(upto, seq)
local from = first and tonumber(string.match(first[1], '^(%d+)%-0$') or '')
if not is_count(from) or from > upto then
    return 0
end
local later = redis.call('XRANGE', recent, digits(upto + 1) .. '-0', '+')
local at = now_ms()
redis.call('DEL', recent)
for number = math.max(from, upto - tonumber(most_kept)), upto do
    append(digits(number), at, '{"type":"presence","seq":' .. digits(number) ..
           ',"joined":[],"left":[],"count":' .. count .. '}', digits(messages))
end
for _, entry in ipairs(later) do
    local number = string.match(entry[1], '^(%d+)%-0$')
    local kept = entry[2]
    if number and kept[3] == 'event' then
        append(number, kept[2], kept[4], kept[6] or '0')
    end
end
redis.call('HSET', head, 'bytes', digits(bytes))
return 1
