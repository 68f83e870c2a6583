package worker

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// departures is the limiter's script: it gives out up to ARGV[2] departure
// times, one interval apart, none further away than the horizon, by the clock
// of Redis, so that all processes share one pace. KEYS[1] is the channel's
// pace, KEYS[3] that of a limit of the message's own (a receiving domain, a
// server); an interval of 0 is no limit. Both are taken at one moment: while
// the own limit is not ready the channel's departures are left to others. It
// also counts the processes that asked lately, for when Redis is away.
var departures = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local every, want, ahead, own = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local function book(key, interval, at)
  if interval > 0 then
    redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
  end
end
local function due(key, interval)
  if interval == 0 then return now end
  local at = tonumber(redis.call('GET', key) or '0')
  if at > now + ahead + interval then -- the clock was set back, or the rate raised
    at = now + ahead + interval
    book(key, interval, at)
  end
  return math.max(at, now)
end
local all, mine = due(KEYS[1], every), now
if own > 0 then mine = due(KEYS[3], own) end
local first, step, n = math.max(all, mine), math.max(every, own), 0
if first - now <= ahead and (every == 0 or mine - all <= every) then
  if every > 0 and own > 0 then n = 1
  else n = math.min(want, math.floor((ahead - (first - now)) / step) + 1) end
end
if n > 0 then
  book(KEYS[1], every, first + (n - 1) * step + every)
  if own > 0 then book(KEYS[3], own, first + (n - 1) * step + own) end
end
redis.call('ZADD', KEYS[2], now, ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 60000000)
redis.call('PEXPIRE', KEYS[2], 120000)
return {n, string.format('%.0f', first - now), redis.call('ZCARD', KEYS[2])}
`)

func (p *pacer) takeShared(ctx context.Context, l *line, q asked) (int, time.Duration, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	keys := []string{p.tag + "pace", p.tag + "peers", p.tag + "pace:" + l.key}
	got, err := departures.Run(ctx, p.shared, keys, q.every.Microseconds(), q.want, horizon.Microseconds(), p.me, q.own.Microseconds()).Slice()
	if err != nil || len(got) != 3 {
		return 0, 0, false
	}
	n, okN := got[0].(int64)
	text, okText := got[1].(string)
	peers, okPeers := got[2].(int64)
	first, err := time.ParseDuration(strings.TrimSpace(text) + "us")
	if !okN || !okText || !okPeers || err != nil {
		return 0, 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peers = max(1, peers)
	if n > 0 { // should Redis go away, this process goes on behind what it has now
		after := p.now().Add(first + time.Duration(n-1)*q.step())
		if q.every > 0 {
			p.lines[""].due = after.Add(q.every)
		}
		if q.own > 0 {
			l.due = after.Add(q.own)
		}
	}
	return int(n), first, true
}

// meet makes this process known to those who share the channel's rate, and
// learns how many they are.
func (p *pacer) meet(ctx context.Context) {
	if p.shared == nil {
		return
	}
	p.mu.Lock()
	l := p.lines[""]
	p.mu.Unlock()
	_, _, _ = p.takeShared(ctx, l, asked{})
}
