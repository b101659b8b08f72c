-- alone: prelude.lua is not put before this one; it is about a gateway and not a room.
--
-- lease: which process ("life") has a gateway's id. One has the lease; others of the same id may be
-- beside it, but only those that drain, each noted as old:LIFE until when it may still be at work.
-- The key lives as long as any of them does: nobody takes their members off meanwhile.
--
-- KEYS  1 the lease (hash)
-- ARGV  1 this life   2 ms that a lease lasts   3 'start' | 'renew' | 'drain' | 'leave'
--       4 channel of a life without the life: whoever lives is subscribed to its own
--       5 what was `seen` at the first of many looks of which none found it subscribed; else ''
--       6… fields of the lease and their values
--
-- Returns {outcome, for how many ms others may be at work beside, was the key of another type,
--          seen: the life that has the lease and how often it was renewed, its address}. Outcomes:
--   kept    it was this life's, and is renewed (drain: marked)
--   made    there was none, and it is this life's now (drain: marked)
--   over    it is this life's now; the one that had it drains, or is dead
--   held    start: another life has it and is subscribed
--   lost    renew: another life has it and is subscribed
--   doubt   another life has it and is not subscribed: it is dead, unless it renews or comes back
--   shared  drain: this life is noted beside whoever has it
--   left, gone  leave: this life is noted nowhere any more; gone: nor is any other
local key, life, ttl, step = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local channel, silent = ARGV[4], ARGV[5]
local call = redis.call
local longest_ms = 2 * 3600000 -- no lease lasts so long: broken by hand
local mended, there, beside = 0, {}, 0

if call('TYPE', key).ok ~= 'hash' then
    mended = call('DEL', key)
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local flat = call('HGETALL', key)
for i = 1, #flat, 2 do
    there[flat[i]] = flat[i + 1]
end
for field, value in pairs(there) do
    if string.sub(field, 1, 4) == 'old:' then
        local left = (tonumber(value) or 0) - now
        if not (left > 0 and left < longest_ms) then
            call('HDEL', key, field)
        elseif field ~= 'old:' .. life then
            beside = math.max(beside, left)
        end
    end
end
local holder = there.life
local seen = string.sub(holder or '', 1, 20) .. ' ' .. string.sub(there.renewals or '', 1, 20)

local function answer(outcome)
    return {outcome, beside, mended, seen, there.address or ''}
end

-- Where this may not be asked, everybody with a lease does.
local function seems_to_live(which)
    local heard = redis.pcall('PUBSUB', 'NUMSUB', channel .. which)
    return heard.err or heard[2] > 0
end

local function note_beside(which)
    call('HSET', key, 'old:' .. which, string.format('%.0f', now + ttl))
end

local function keep(outcome)
    call('HSET', key, 'life', life, unpack(ARGV, 6))
    call('PEXPIRE', key, ttl)
    local renewals = there.renewals or ''
    if not string.find(renewals, '^%d+$') or #renewals > 15 then -- broken by hand
        call('HDEL', key, 'renewals')
    end
    call('HINCRBY', key, 'renewals', 1)
    call('HDEL', key, 'old:' .. life)
    return answer(outcome)
end

if step == 'leave' then
    call('HDEL', key, 'old:' .. life)
    if holder == life then
        call('HDEL', key, 'life', 'draining')
    end
    if beside == 0 and (holder == life or not holder) then
        call('DEL', key)
        return answer('gone')
    end
    return answer('left')
elseif step == 'drain' then
    local lives = holder and holder ~= life and seems_to_live(holder)
    if holder and holder ~= life and (lives or silent ~= seen) then
        note_beside(life)
        call('PEXPIRE', key, ttl)
        return answer(lives and 'shared' or 'doubt')
    end
    call('HSET', key, 'draining', '1')
    return keep(not holder and 'made' or holder == life and 'kept' or 'over')
elseif not holder then
    call('HDEL', key, 'draining')
    return keep('made')
elseif holder == life then
    call('HDEL', key, 'draining')
    return keep('kept')
elseif there.draining == '1' then
    note_beside(holder)
    beside = math.max(beside, ttl)
elseif seems_to_live(holder) then
    return answer(step == 'renew' and 'lost' or 'held')
elseif silent ~= seen then
    return answer('doubt')
end
call('HDEL', key, 'draining')
return keep('over')
