-- trim: forgets kept events up to a number, because `retention` has passed for them. The stream
-- holds numbers without holes, so how many to keep is a subtraction.
--
-- ARGV  5 the last number to forget   6 its epoch: numbers of another one mean nothing
local last = count_in(5)
local epoch, seq = position()
local keep = seq - last
if epoch ~= ARGV[6] or keep < 0 then
    return 0
end
mend(recent, 'stream')
return redis.call('XTRIM', recent, 'MAXLEN', digits(keep))
