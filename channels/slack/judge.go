package slack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/slack-go/slack"

	"rapport/channels"
	"rapport/internal/httpx"
)

// meaning is what a code of the Web API says about a delivery.
type meaning struct {
	verdict channels.Verdict
	reason  string
	strike  bool
	words   string
}

// meaningOf knows the codes of chat.postMessage, conversations.open,
// users.lookupByEmail and auth.test. A code it does not know is Temporary,
// like every error that nobody classified: ok:false means not delivered.
func meaningOf(code string) meaning {
	switch code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		return meaning{channels.Throttled, "rate_limited", false, "Slack asks us to slow down"}
	case "not_authed", "invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_allowed_token_type":
		return meaning{channels.Broken, "authentication", false, "Slack does not accept the channel's token; install the app again and give the channel its new token"}
	case "missing_scope", "no_permission", "restricted_action", "access_denied":
		return meaning{channels.Broken, "authentication", false, "the app may not do this; add the missing scope to the app, install it again and give the channel its new token"}
	case "org_login_required", "ekm_access_denied", "team_access_not_granted", "enterprise_is_restricted", "accesslimited", "two_factor_setup_required":
		return meaning{channels.Broken, "policy", false, "the workspace does not let the app in; ask its administrator"}
	case "unknown_method", "method_deprecated", "deprecated_endpoint", "invalid_post_type", "missing_post_type", "invalid_form_data", "invalid_arg_name":
		return meaning{channels.Broken, "policy", false, "this is not the Slack Web API we know; check the channel's api_url"}
	}
	return meaningOfMessage(code)
}

func meaningOfMessage(code string) meaning {
	switch code {
	case "user_not_found", "users_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot":
		return meaning{channels.Rejected, "unknown_user", false, "there is no such person in this workspace"}
	case "is_archived":
		return meaning{channels.Rejected, "unknown_user", false, "this conversation is archived"}
	case "channel_not_found":
		// A private conversation without us looks exactly like none at all, so
		// the address is not condemned at once.
		return meaning{channels.Malformed, "refused", true, "there is no such conversation, or it is private and the app is not in it; invite the app"}
	case "not_in_channel", "restricted_action_read_only_channel", "restricted_action_non_threadable_channel", "messages_tab_disabled", "restricted_action_thread_only_channel":
		return meaning{channels.Malformed, "refused", false, "the app may not write to this conversation; invite it or change the conversation's settings"}
	case "msg_too_long", "msg_blocks_too_long", "metadata_too_large", "too_many_attachments":
		return meaning{channels.Malformed, "too_large", false, "the message is longer than Slack takes"}
	case "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_metadata_format", "invalid_metadata_schema", "cannot_parse_attachment", "invalid_attachments", "markdown_text_conflict":
		return meaning{channels.Malformed, "content_refused", false, "Slack does not accept the message's content; check its parts text and blocks"}
	case "fatal_error", "internal_error":
		// Slack's own words for both: some of it may have succeeded.
		return meaning{channels.Uncertain, "no_answer", false, "Slack failed inside and does not know whether the message was posted"}
	}
	return meaning{channels.Temporary, "", false, "Slack cannot take the message for now"}
}

// judge turns an error of the library into a failure. posting says that the
// call was the one that posts, left whether it may have reached Slack; with
// the calls before it nothing is ever uncertain.
func judge(err error, posting, left bool) *channels.Failure {
	var f *channels.Failure
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		f = fromCode("ratelimited", slack.SlackErrorResponse{})
		f.After = limited.RetryAfter
	} else if said, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		f = fromCode(said.Err, said)
	} else if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		f = fromStatus(status.Code)
	} else {
		f = fromSilence(err, left)
	}
	if !posting && f.Verdict == channels.Uncertain {
		f.Verdict, f.Reason = channels.Temporary, "connection"
	}
	return f
}

func fromCode(code string, said slack.SlackErrorResponse) *channels.Failure {
	m := meaningOf(code)
	words := m.words
	if said.Needed != "" {
		words += fmt.Sprintf(" (needed: %.200q)", said.Needed)
	}
	if notes := said.ResponseMetadata.Messages; len(notes) > 0 {
		words += fmt.Sprintf(" (%.300q)", notes[0])
	}
	return &channels.Failure{Verdict: m.verdict, Reason: m.reason, Strike: m.strike, Code: fmt.Sprintf("%.80s", code), Err: errors.New(words)}
}

// fromStatus judges an answer that is not of the Web API: of a gateway before
// it, or of another server altogether.
func fromStatus(status int) *channels.Failure {
	f := &channels.Failure{Code: strconv.Itoa(status)}
	switch {
	case status == http.StatusTooManyRequests:
		f.Verdict, f.Reason, f.Err = channels.Throttled, "rate_limited", errors.New("the workspace asks us to slow down")
	case status == http.StatusServiceUnavailable:
		f.Verdict, f.Reason, f.Err = channels.Temporary, "connection", errors.New("the Web API is not available for now")
	case status >= 500:
		f.Verdict, f.Reason, f.Err = channels.Uncertain, "no_answer", errors.New("the gateway before Slack failed and it is not known whether the message was posted")
	case status == http.StatusRequestEntityTooLarge:
		f.Verdict, f.Reason, f.Err = channels.Malformed, "too_large", errors.New("the message is longer than Slack takes")
	case status == http.StatusRequestTimeout:
		f.Verdict, f.Reason, f.Err = channels.Temporary, "timeout", errors.New("the request did not arrive whole in time")
	default:
		f.Verdict, f.Reason, f.Err = channels.Broken, "policy", errors.New("this is not an answer of the Slack Web API; check the channel's api_url and whether something stands between")
	}
	return f
}

// fromSilence judges a call without an answer, or with one that cannot be read.
func fromSilence(err error, left bool) *channels.Failure {
	if left {
		return &channels.Failure{Verdict: channels.Uncertain, Reason: "no_answer", Err: fmt.Errorf("no answer from Slack after the message was sent: %w", err)}
	}
	f := &channels.Failure{Verdict: channels.Temporary, Reason: "connection", Err: fmt.Errorf("no connection to Slack: %w", err)}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f.Verdict, f.Reason = channels.Broken, "tls"
	}
	if errors.Is(err, httpx.ErrForbidden) {
		f.Verdict = channels.Broken
	}
	return f
}
