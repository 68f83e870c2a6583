//go:build chaos

package e2e

import (
	"net/http"
	"strconv"
	"syscall"
	"time"

	"rapport/internal/fake/relay"
)

// strike does one bad thing by chance.
func (c *chaos) strike() {
	x := c.slots[c.chance.IntN(len(c.slots))]
	strikes := []func(*slot){c.kill, c.kill, c.prime, c.prime, c.suspend, c.cutMail, c.cutMail, c.haltAndGo, c.unsubscribe, c.age}
	if c.database != "" {
		strikes = append(strikes, c.flush, c.restartRedis, c.dropLeases, c.cutRedis, c.cutSQL, c.cutSQL, c.freezeSQL, c.killSQL)
	} else {
		strikes = append(strikes, c.lockSQL, c.lockSQL)
	}
	if c.chance.IntN(25) == 0 {
		c.cancel()
		return
	}
	strikes[c.chance.IntN(len(strikes))](x)
}

func (c *chaos) kill(x *slot) {
	if x.p.ended() {
		return
	}
	c.note("kills", "%s", x.name)
	c.doubt += doubts(1, c.connections)
	x.primed = false
	x.p.kill()
}

// prime starts a process again that dies at a moment of the walk.
func (c *chaos) prime(x *slot) {
	list := moments("offers")
	moment := list[c.chance.IntN(len(list))]
	name := moment[:len(moment)-1]
	for name[len(name)-1] != ':' {
		name = name[:len(name)-1]
	}
	c.kill(x)
	moment = name + strconv.Itoa(1+c.chance.IntN(25))
	c.note("failpoints", "%s %s", x.name, moment)
	c.up(x, "RAPPORT_FAILPOINT="+moment)
}

func (c *chaos) suspend(x *slot) {
	c.note("suspends", "%s", x.name)
	p := x.p
	p.signal(syscall.SIGSTOP)
	c.mends = append(c.mends, func() { p.signal(syscall.SIGCONT) })
}

// age lets half a minute pass, so that whoever is cut off counts as dead.
func (c *chaos) age(*slot) {
	c.note("leaps of the clock", "31s")
	c.clock.mourn()
}

func (c *chaos) cutMail(x *slot) {
	l := x.line.mail
	switch way := relay.Direction(c.chance.IntN(2)); c.chance.IntN(6) {
	case 0:
		c.note("mail cuts", "%s", x.name)
		l.Cut()
	case 1:
		c.note("mail resets", "%s", x.name)
		l.Reset()
	case 2:
		c.note("mail half open", "%s %d", x.name, way)
		l.Swallow(way)
	case 3:
		c.note("mail holds", "%s", x.name)
		l.Hold(relay.Up, relay.Down)
		c.mends = append(c.mends, l.Heal)
		return
	case 4:
		c.note("mail delays", "%s", x.name)
		l.Delay(time.Duration(5+c.chance.IntN(60)) * time.Millisecond)
		c.mends = append(c.mends, l.Heal)
		return
	case 5:
		c.note("mail throttles", "%s", x.name)
		l.Throttle(4000 + c.chance.IntN(40_000))
		c.mends = append(c.mends, l.Heal)
		return
	}
	c.doubt += doubts(1, c.connections)
	c.mends = append(c.mends, l.Heal)
}

func (c *chaos) cutSQL(x *slot) {
	l := x.line.sql
	switch c.chance.IntN(4) {
	case 0:
		c.note("sql cuts", "%s", x.name)
		l.Cut()
	case 1:
		c.note("sql resets", "%s", x.name)
		l.Reset()
	case 2:
		c.note("sql cuts behind a commit", "%s", x.name)
		l.CutBehind(relay.Up, "commit")
	case 3:
		c.note("sql holds", "%s", x.name)
		l.Hold(relay.Up, relay.Down)
	}
	c.doubt += doubts(1, c.connections)
	c.mends = append(c.mends, l.Heal)
}

func (c *chaos) cutRedis(x *slot) {
	l := x.line.redis
	if c.chance.IntN(2) == 0 {
		c.note("redis cuts", "%s", x.name)
		l.Cut()
	} else {
		c.note("redis holds", "%s", x.name)
		l.Hold(relay.Up, relay.Down)
	}
	c.mends = append(c.mends, l.Heal)
}

func (c *chaos) flush(*slot) {
	c.note("redis flushes", "")
	_, _ = c.redis.ask("FLUSHALL") // it may be away
}

func (c *chaos) dropLeases(*slot) {
	c.note("leases deleted", "")
	_, _ = c.redis.ask(`EVAL "local n=0 for _,k in ipairs(redis.call('keys','*lease')) do n=n+redis.call('del',k) end return n" 0`) // it may be away
}

func (c *chaos) restartRedis(*slot) {
	if c.redis.p.ended() {
		return
	}
	c.note("redis kills", "")
	c.redis.kill()
	c.mends = append(c.mends, c.redis.start)
}

func (c *chaos) freezeSQL(*slot) {
	if c.server.p.ended() {
		return
	}
	c.note("sql stops", "")
	c.server.freeze()
	c.mends = append(c.mends, c.server.thaw)
}

// killSQL is a crash of the database server: it comes back by itself.
func (c *chaos) killSQL(*slot) {
	c.mend() // a stopped server cannot be told from a dead one
	c.note("sql kills", "")
	c.doubt += doubts(len(c.slots), c.connections)
	c.server.kill()
	c.pause(10, 300)
	c.server.start()
}

// kill ends the server as a power cut would; start brings it back, with
// everything that was committed, as its processes died and not the machine.
func (s *postgresServer) kill() {
	s.signal(syscall.SIGKILL)
	s.p.kill()
}

func (c *chaos) lockSQL(*slot) {
	c.mend() // a suspended process may hold the lock
	c.note("sql locks", "")
	c.mends = append(c.mends, c.lockFile())
}

// haltAndGo pauses a campaign; somebody lets it go on later.
func (c *chaos) haltAndGo(*slot) {
	c.mend()
	name := []string{c.offers, c.serves}[c.chance.IntN(2)]
	c.note("pauses", "%s", name)
	c.run("campaigns", "pause", name)
	c.mends = append(c.mends, func() { c.run("campaigns", "resume", name) })
}

func (c *chaos) cancel() {
	c.mend()
	c.note("cancels", "%s", c.offers)
	c.run("campaigns", "cancel", c.offers)
}

// unsubscribe lets one or two people leave by one click.
func (c *chaos) unsubscribe(*slot) {
	c.mend() // a suspended process would not answer
	willing := c.people.willing()
	for range 1 + c.chance.IntN(2) {
		to := willing[c.chance.IntN(len(willing))]
		m, ok := c.mail.Latest(to)
		if _, gone := c.gone[to]; gone || !ok || c.left[to] {
			continue
		}
		link := open(c.t, m).leave()
		if link == "" { // transactional letters have none
			continue
		}
		res, err := c.ask(http.MethodPost, link, "List-Unsubscribe=One-Click")
		if err == nil && res.StatusCode/100 == 2 {
			c.note("unsubscriptions", "%s", to)
			c.gone[to] = time.Now()
			continue
		}
		c.note("unsubscriptions without an answer", "%s", to)
		c.maybe[to] = true // it may be on record or not
	}
}
