package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rapport"
	"rapport/channels"
	"rapport/internal/failpoint"
	"rapport/outbox"
)

// sendTime bounds one Send; a provider may take ten minutes to answer after
// the last octet (RFC 5321, 4.5.3.2.6).
const sendTime = 15 * time.Minute

// renderAgain is how long a message waits that could not be rendered because
// something it needs was away.
const renderAgain = 5 * time.Second

// refused is the answer of the gate to a message that may not leave. The row
// has already been moved.
type refused struct{ outbox.Admission }

// Error says what the gate said.
func (r *refused) Error() string {
	return fmt.Sprintf("not admitted: %s %s", r.State, r.Reason)
}

// closed is why a message did not leave: its send window closed meanwhile.
type closed struct{ opens time.Time }

// Error says when the window opens.
func (c *closed) Error() string { return "the send window is closed" }

// attempt is one delivery on its way.
type attempt struct {
	*job
	d        outbox.Delivery
	departed bool // permission was given: from now on the message may have left
	reserved bool // room in the spool is kept for the outcome
	asked    bool
}

// send takes one delivery from claimed to its outcome.
func (j *job) send(ctx context.Context, d outbox.Delivery) {
	a := &attempt{job: j, d: d}
	if d.Run != j.info.run.ID {
		j.w.meter.forged.Inc()
		j.halt.Store(true) // the task named another run than the batch's
		j.back(d, "", time.Time{})
		return
	}
	if opens := a.opens(); !opens.At.IsZero() {
		j.back(d, outbox.WaitQuiet, opens.At)
		return
	}
	if d.Person == nil {
		a.gone(ctx)
		return
	}
	m, err := a.compose(ctx)
	if err != nil {
		if a.fatal(err) {
			return
		}
		a.spoil(ctx, err)
		return
	}
	j.info.spoilt.Store(0)
	receipt, err := a.offer(ctx, m)
	if err == nil || a.departed {
		failpoint.At("after_accept_before_settle")
	}
	a.settled(receipt, err)
}

// gone is for a person who was erased after planning: the gate ends the
// delivery, and there is nobody to write to if it does not.
func (a *attempt) gone(ctx context.Context) {
	answer, err := a.w.exchanger.admit(ctx, outbox.Ticket{Delivery: a.d.ID, Turn: a.d.Turn})
	if err != nil || answer.Go {
		a.back(a.d, "", time.Time{})
		return
	}
	if answer.State != "" {
		a.w.meter.outcome(a.lane.name, answer.State, "")
	}
}

// compose writes the message; a crash in it spoils this delivery only, as far
// as the language allows. What brings the whole process down is found by the
// way suspects are written.
func (a *attempt) compose(ctx context.Context) (m channels.Message, err error) {
	if a.d.Crashes > 0 {
		return a.alone(ctx)
	}
	a.w.desk.RLock()
	defer a.w.desk.RUnlock()
	return a.write(ctx)
}

func (a *attempt) write(ctx context.Context) (m channels.Message, err error) {
	failpoint.For("in_render", a.d.Address)
	defer func() {
		if crash := recover(); crash != nil {
			a.w.crashed(a.d, "render")
			err = errors.New("the template crashed the renderer")
		}
	}()
	return a.info.compose(ctx, a.d)
}

// spoil ends a delivery that cannot be rendered. When none of a run can be,
// the run is paused and a person told, before all of its people have failed.
func (a *attempt) spoil(ctx context.Context, err error) {
	if ctx.Err() != nil {
		a.back(a.d, "", time.Time{})
		return
	}
	if rapport.KindOf(err) == rapport.Unavailable { // not thousands of times a second
		a.back(a.d, outbox.WaitRetry, a.w.o.Now().Add(renderAgain))
		return
	}
	f := channels.Failure{Verdict: channels.Malformed, Err: err}
	a.settle(outbox.Settlement{
		Delivery: a.d.ID, Turn: a.d.Turn, State: outbox.Failed, Reason: outbox.RenderFailed, At: a.w.o.Now(),
		Verdict: f.Verdict.String(), Detail: brief(f.Error()), Charge: true,
	}, nil)
	if a.info.spoilt.Add(1)%spoilt == 0 { // and again, if it is resumed as it is
		a.halt.Store(true)
		a.w.pauseRun(ctx, a.info.run, "the template failed for many people in a row: "+brief(err.Error()))
	}
}

// offer hands the message to the channel. The context of Send outlives a stop
// by the grace; a crash is read as a doubt when the message may have left.
func (a *attempt) offer(ctx context.Context, m channels.Message) (r channels.Receipt, err error) {
	m.Key, m.To, m.Class = rapport.DeliveryID(a.d.Run, a.d.Contact), a.d.Address, a.info.run.Class
	m.Depart = func(sending context.Context) error { return a.depart(ctx, sending) }
	defer func() {
		if crash := recover(); crash != nil {
			a.w.crashed(a.d, "send")
			verdict := channels.Temporary
			if a.departed {
				verdict = channels.Uncertain
			}
			err = &channels.Failure{Verdict: verdict, Reason: string(outbox.Crashed), Err: errors.New("the channel crashed")}
		}
	}()
	patience, cancel := context.WithTimeout(a.w.hard, sendTime)
	defer cancel()
	return a.lane.Channel.Send(patience, m)
}

// depart is permission at the wire. ctx ends when the worker stops; sending is
// the channel's.
func (a *attempt) depart(ctx, sending context.Context) (err error) {
	if a.asked {
		return errHome // a channel that asks twice would send twice
	}
	a.asked = true
	both, cancel := context.WithCancel(sending)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if err := a.turn(both); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			a.lane.warm.back()
		}
	}()
	opens := a.opens()
	if !opens.At.IsZero() {
		return &closed{opens.At}
	}
	if err := a.w.spool.reserve(); err != nil {
		a.halt.Store(true)
		a.w.troubled("the spool takes nothing: sending waits", err)
		return fmt.Errorf("%w: %w", errHome, err)
	}
	answer, err := a.w.exchanger.admit(both, outbox.Ticket{Delivery: a.d.ID, Turn: a.d.Turn, Shadow: opens.Shadow})
	switch {
	case err != nil:
		a.w.spool.cancel()
		if both.Err() == nil {
			a.halt.Store(true) // the database is away: the rest of the batch waits too
		}
		return err
	case !answer.Go:
		a.w.spool.cancel()
		return &refused{answer}
	}
	a.departed, a.reserved = true, true
	a.w.witness.departed()
	failpoint.At("after_intent")
	return nil
}

// settled turns what Send said into the row's next state.
func (a *attempt) settled(receipt channels.Receipt, err error) {
	now := a.w.o.Now()
	if err != nil && !a.departed {
		if a.stayed(err) {
			return
		}
	}
	if err == nil && !a.departed {
		// A mistake of the channel. The intent is written late, so that the
		// outcome is a legal move; what the gate says cannot be helped.
		a.w.log.Error("a channel sent a message without asking", slog.String("channel", a.lane.name), slog.Int64("delivery", a.d.ID))
		if _, late := a.w.exchanger.admit(a.w.hard, outbox.Ticket{Delivery: a.d.ID, Turn: a.d.Turn}); late != nil {
			a.w.troubled("a message that left without asking could not be recorded", late)
		}
	}
	s := a.info.policy.Next(outbox.Attempt{Delivery: a.d, Channel: a.lane.name, At: now, Receipt: receipt, Err: a.doubt(err)})
	s.Batch = a.d.Batch
	a.learn(&s, err)
	var spooled func()
	if a.reserved {
		done, err := a.w.spool.add(s)
		if err != nil {
			a.w.troubled("an outcome could not be spooled", err)
		} else {
			spooled = done
		}
	}
	if s.Hold != nil {
		a.lane.holds.Add(1)
	}
	a.settle(s, spooled)
}

// stayed deals with a message that did not leave by our own word; false when
// the provider or the way to it was the reason.
func (a *attempt) stayed(err error) bool {
	if r, ok := errors.AsType[*refused](err); ok {
		if r.State != "" { // else the row is somebody else's by now
			a.w.meter.outcome(a.lane.name, r.State, "")
		}
		switch r.Reason {
		case outbox.WaitHeld:
			a.lane.holds.Add(1)
		case outbox.WaitPaused, outbox.ByPerson:
			a.halt.Store(true)
		default:
		}
		return true
	}
	if l, ok := errors.AsType[*later](err); ok {
		a.postpone(a.d, l.reason, l.until)
		return true
	}
	if c, ok := errors.AsType[*closed](err); ok {
		a.back(a.d, outbox.WaitQuiet, c.opens)
		return true
	}
	if errors.Is(err, errHome) || a.w.hard.Err() != nil {
		a.back(a.d, "", time.Time{})
		return true
	}
	return false
}

// doubt corrects what a channel cannot know: before the departure nothing is
// in doubt, and after it an error that nobody judged, an end of our patience
// among them, is no proof of anything.
func (a *attempt) doubt(err error) error {
	if err == nil {
		return nil
	}
	if a.departed {
		f := channels.JudgeDeparted(err)
		return &f
	}
	f := channels.Judge(err)
	if f.Verdict == channels.Uncertain {
		f.Verdict = channels.Temporary
	}
	return &f
}

// brief keeps a text short enough for a row.
func brief(text string) string {
	const most = 300
	text = writable(text)
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	return string(r[:most]) + "…"
}
