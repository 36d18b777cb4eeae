/**
 * The beat as one Lua script, for Redis 7.0 and Valkey alike (no command newer than that). All keys carry the same hash
 * tag. Time is the server's own; the instances' clocks are never compared.
 *
 * KEYS[1] members (zset: instance -> last beat ms), KEYS[2] urls (hash), KEYS[3] epochs (hash: slot -> last epoch),
 * KEYS[4] clean (hash: slot -> 1 after a release), KEYS[5] born (ms), KEYS[6] halts (hash), KEYS[7…] one key a slot holding "instance|epoch".
 *
 * A store that has lost its memory is young again: while it is, holders put their leases back and nobody takes a new one,
 * for whoever holds one still may be about to send.
 */
export const BEAT_SCRIPT = `
local args = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function key(slot) return KEYS[7 + slot] end
local function value(held) return args.instanceId .. '|' .. string.format('%.0f', held.epoch) end
local function last(slot) return tonumber(redis.call('HGET', KEYS[3], slot) or '0') end

redis.call('SET', KEYS[5], now, 'NX')
local young = now - tonumber(redis.call('GET', KEYS[5])) < args.ttlMs

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - args.ttlMs)
local changed = false
if args.member then
  redis.call('ZADD', KEYS[1], now, args.instanceId)
  redis.call('HSET', KEYS[2], args.instanceId, args.advertiseUrl)
else
  changed = redis.call('ZREM', KEYS[1], args.instanceId) == 1
end

for _, held in ipairs(args.release) do
  if redis.call('GET', key(held.slot)) == value(held) then
    redis.call('DEL', key(held.slot))
    redis.call('HSET', KEYS[4], held.slot, '1')
    changed = true
  end
end
for _, held in ipairs(args.renew) do
  local current = redis.call('GET', key(held.slot))
  if current == value(held) then
    redis.call('PEXPIRE', key(held.slot), args.ttlMs)
  elseif not current and redis.call('HEXISTS', KEYS[4], held.slot) == 0 then
    local known = last(held.slot)
    if known == held.epoch or (known == 0 and young) then
      redis.call('SET', key(held.slot), value(held), 'PX', args.ttlMs)
      redis.call('HSET', KEYS[3], held.slot, string.format('%.0f', held.epoch))
    end
  end
end
local acquired = {}
for _, slot in ipairs(args.acquire) do
  if not young and redis.call('EXISTS', key(slot)) == 0 then
    local known = last(slot)
    local epoch = math.max(args.epochFloor, known == 0 and 0 or known + args.epochStep)
    local text = string.format('%.0f', epoch)
    redis.call('SET', key(slot), args.instanceId .. '|' .. text, 'PX', args.ttlMs)
    redis.call('HSET', KEYS[3], slot, text)
    local clean = redis.call('HDEL', KEYS[4], slot)
    -- Nobody held it, or the store has forgotten who did: the asker may remember.
    if known == 0 then clean = 2 end
    acquired[#acquired + 1] = { tostring(slot), text, tostring(clean) }
  end
end

for _, halt in ipairs(args.halts) do
  local known = redis.call('HGET', KEYS[6], halt.key)
  if not known or cjson.decode(known).at <= halt.state.at then
    redis.call('HSET', KEYS[6], halt.key, cjson.encode(halt.state))
    -- Begins with the time: a store that lost its memory never counts up to a version that was seen before.
    if redis.call('HSETNX', KEYS[6], '.version', string.format('%.0f', now)) == 0 then
      redis.call('HINCRBY', KEYS[6], '.version', 1)
    end
    changed = true
  end
end
local version = tonumber(redis.call('HGET', KEYS[6], '.version') or '0')
local halts = {}
if version ~= args.haltsVersion then
  local all = redis.call('HGETALL', KEYS[6])
  for at = 1, #all, 2 do
    if all[at] ~= '.version' then halts[#halts + 1] = { all[at], all[at + 1] } end
  end
end

local members = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  members[#members + 1] = { id, redis.call('HGET', KEYS[2], id) or '' }
end
local owners = {}
for slot = 0, args.slots - 1 do
  owners[slot + 1] = redis.call('GET', key(slot)) or ''
end
if changed then redis.call('PUBLISH', args.channel, args.instanceId) end
return cjson.encode({ halts = halts, haltsVersion = version, members = members, owners = owners, acquired = acquired })
`;
