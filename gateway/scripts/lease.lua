-- alone: prelude.lua is not put before this one; it is about a gateway and not a room.
--
-- lease: which process, that is which incarnation of a gateway, has the gateway-id. One has the lease;
-- others of the same id may be beside it, but only those that drain, each noted as old:INCARNATION until
-- when it may still be at work. The key lives as long as any of them does: nobody takes their members
-- off meanwhile.
--
-- KEYS  1 the lease (hash)
-- ARGV  1 this incarnation   2 ms that a lease lasts   3 'start' | 'renew' | 'drain' | 'leave'
--       4 channel of an incarnation without its name: whoever lives is subscribed to its own
--       5 what was `seen` at the first of many looks of which none found it subscribed; else ''
--       6… fields of the lease and their values
--
-- Returns {outcome, for how many ms others may be at work beside, was the key of another type,
--          seen: the incarnation that has the lease and how often it was renewed, its address}. Outcomes:
--   renewed     it was this incarnation's, and is renewed (drain: marked)
--   acquired    there was none, and it is this incarnation's now (drain: marked)
--   taken-over  it is this incarnation's now; the one that had it drains, or is dead
--   held        start: another incarnation has it and is subscribed
--   lost        renew: another incarnation has it and is subscribed
--   suspect     another incarnation has it and is not subscribed: dead, unless it renews or comes back
--   shared      drain: this incarnation is noted beside whoever has it
--   left, gone  leave: this incarnation is noted nowhere any more; gone: nor is any other
local key, own, ttl, step = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
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
        elseif field ~= 'old:' .. own then
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
    local subscribers = redis.pcall('PUBSUB', 'NUMSUB', channel .. which)
    return subscribers.err or subscribers[2] > 0
end

local function note_beside(which)
    call('HSET', key, 'old:' .. which, string.format('%.0f', now + ttl))
end

local function hold(outcome)
    call('HSET', key, 'life', own, unpack(ARGV, 6))
    call('PEXPIRE', key, ttl)
    local renewals = there.renewals or ''
    if not string.find(renewals, '^%d+$') or #renewals > 15 then -- broken by hand
        call('HDEL', key, 'renewals')
    end
    call('HINCRBY', key, 'renewals', 1)
    call('HDEL', key, 'old:' .. own)
    return answer(outcome)
end

if step == 'leave' then
    call('HDEL', key, 'old:' .. own)
    if holder == own then
        call('HDEL', key, 'life', 'draining')
    end
    if beside == 0 and (holder == own or not holder) then
        call('DEL', key)
        return answer('gone')
    end
    return answer('left')
elseif step == 'drain' then
    local alive = holder and holder ~= own and seems_to_live(holder)
    if holder and holder ~= own and (alive or silent ~= seen) then
        note_beside(own)
        call('PEXPIRE', key, ttl)
        return answer(alive and 'shared' or 'suspect')
    end
    call('HSET', key, 'draining', '1')
    return hold(not holder and 'acquired' or holder == own and 'renewed' or 'taken-over')
elseif not holder then
    call('HDEL', key, 'draining')
    return hold('acquired')
elseif holder == own then
    call('HDEL', key, 'draining')
    return hold('renewed')
elseif there.draining == '1' then
    note_beside(holder)
    beside = math.max(beside, ttl)
elseif seems_to_live(holder) then
    return answer(step == 'renew' and 'lost' or 'held')
elseif silent ~= seen then
    return answer('suspect')
end
call('HDEL', key, 'draining')
return hold('taken-over')
