package webhook

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"rapport/channels"
	"rapport/internal/httpx"
)

// judge turns the status of an answer into a failure; nil means taken. The
// endpoint belongs to the channel, so an answer that nobody can be served
// here (404, 410, 401 …) is about the channel and never about the address.
func judge(res *http.Response, now time.Time) error {
	status := res.StatusCode
	if status >= 200 && status < 300 {
		return nil
	}
	f := &channels.Failure{Code: strconv.Itoa(status), After: httpx.RetryAfter(res, now)}
	f.Verdict, f.Err = verdictOf(status, f.After > 0)
	return f
}

func verdictOf(status int, toldWhen bool) (channels.Verdict, error) {
	switch {
	case status >= 300 && status < 400:
		return channels.Broken, errors.New("the endpoint redirects, which is not followed; write its final address into the channel's url")
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired, status == http.StatusPaymentRequired:
		return channels.Broken, errors.New("the endpoint does not let us in; check the channel's secret and headers")
	case status == http.StatusGone:
		return channels.Broken, errors.New("the endpoint says that it is gone for good; give the channel a new url or remove it")
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType,
		status == http.StatusNotAcceptable, status == http.StatusUpgradeRequired, status == http.StatusMisdirectedRequest:
		return channels.Broken, errors.New("there is no webhook receiver at this address; check the channel's url")
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && toldWhen:
		return channels.Throttled, errors.New("the endpoint asks us to slow down")
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500, status < 200:
		return channels.Temporary, errors.New("the endpoint cannot take messages for now")
	}
	return channels.Malformed, fmt.Errorf("the endpoint does not accept this message (%s)", http.StatusText(status))
}

// lost judges a call without an answer: what cannot have reached the receiver
// is tried again, anything else may have arrived.
func lost(err error, left bool) error {
	if left {
		return &channels.Failure{Verdict: channels.Uncertain, Err: fmt.Errorf("the endpoint did not answer after the message was sent: %w", err)}
	}
	verdict := channels.Temporary
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || errors.Is(err, httpx.ErrForbidden) {
		verdict = channels.Broken
	}
	return &channels.Failure{Verdict: verdict, Err: fmt.Errorf("the endpoint could not be reached: %w", err)}
}
