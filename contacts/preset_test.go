package contacts_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rapport"
	"rapport/consent"
	"rapport/contacts"
	"rapport/internal/testkit"
	"rapport/store/storetest"
)

func TestPresets(t *testing.T) {
	if got := contacts.Presets(); !slices.Equal(got, []string{"brevo", "keila", "listmonk", "mailchimp", "mautic"}) {
		t.Error(got)
	}
	h := storetest.NewHouse(t, testkit.Store(t))
	about := []contacts.Grant{{Driver: "mailer", Topic: "news"}}
	for _, o := range []contacts.ImportOptions{{Preset: "owl", About: about}, {Preset: "keila"}, {Preset: "keila", About: []contacts.Grant{{Driver: "mailer", Topic: "nows"}}}} {
		if _, err := h.Contacts.Import(t.Context(), storetest.File("Email,Status\na@example.com,active\n"), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// want is what stands for somebody after an import.
type want struct {
	answer     consent.Answer
	state      consent.State
	suppressed string
}

func checkAll(t *testing.T, h *storetest.House, all map[string]want) {
	t.Helper()
	for who, w := range all {
		got := answerOf(t, h, who)
		if got.Answer != w.answer || w.state != "" && got.State != w.state {
			t.Errorf("%s: %+v, want %+v", who, got, w)
		}
		if reason := suppressedAs(t, h, who); reason != w.suppressed {
			t.Errorf("%s is suppressed as %q, want %q", who, reason, w.suppressed)
		}
	}
}

const (
	mailchimpSubscribed = `"Email Address","First Name","Last Name",MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LATITUDE,LONGITUDE,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,LAST_CHANGED,LEID,EUID,NOTES,TAGS
ada@example.com,Ada,Example,4,"2024-03-14 09:12:31",192.0.2.1,"2024-03-14 09:14:00",192.0.2.2,,,1,2,Europe/Berlin,DE,BE,"2024-03-14 09:14:00",1,a1,,"""vip"""
bea@example.com,Bea,,2,,,"2015-03-16 14:40:47",,,,,,Nowhere/Nil,,,"2015-03-16 14:40:47",2,b2,,
cyd@example.com,Cyd,,2,"2024-03-14 09:12:31",192.0.2.3,,,,,,,,,,"2024-03-14 09:12:31",3,c3,,
`
	mailchimpUnsubscribed = `"Email Address","First Name","Last Name",MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LAST_CHANGED,LEID,EUID,NOTES,TAGS,UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER
dan@example.com,Dan,,2,"2019-01-01 08:00:00",192.0.2.4,"2019-01-01 09:00:00",192.0.2.4,"2021-02-03 04:05:06",4,d4,,,"2021-02-03 04:05:06",,,"No longer interested",
`
	mailchimpCleaned = `"Email Address","First Name",OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LEID,EUID,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID
eva@example.com,Eva,,,"2018-01-01 09:00:00",,5,e5,"2020-06-01 12:00:00","Summer",x
`
)

func TestPresetMailchimp(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	o := contacts.ImportOptions{Preset: "mailchimp", About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "audience Shop"}
	rep := h.Import(t, mailchimpSubscribed, o)
	if rep.Created != 3 || rep.People["permitted"] != 2 || rep.People["not_permitted"] != 1 || rep.History["recorded"] != 4 {
		t.Fatalf("%+v", rep)
	}
	rep = h.Import(t, mailchimpUnsubscribed, o)
	if rep.People["refused"] != 1 || rep.History["recorded"] != 3 {
		t.Fatalf("%+v", rep)
	}
	rep = h.Import(t, mailchimpCleaned, o)
	if rep.People["suppressed"] != 1 || rep.History["suppressed"] != 1 {
		t.Fatalf("%+v", rep)
	}
	checkAll(t, h, map[string]want{
		"ada@example.com": {consent.Yes, consent.Confirmed, ""},
		"bea@example.com": {consent.Yes, consent.Granted, ""}, // one step is not two
		"cyd@example.com": {consent.Wait, consent.Requested, ""},
		"dan@example.com": {consent.No, consent.Withdrawn, ""},
		"eva@example.com": {consent.Yes, consent.Granted, consent.HardBounce},
	})
	c, err := h.Contacts.Get(t.Context(), "ada@example.com")
	if err != nil || c.Zone != "Europe/Berlin" || !strings.Contains(string(c.Attributes), `"first_name":"Ada"`) {
		t.Errorf("%+v, %v", c, err)
	}
	sheet, _ := h.Consent.Show(t.Context(), c.ID)
	if e := sheet.History[1]; e.Evidence.IP != "192.0.2.2" || e.Evidence.Source != "audience Shop" || !e.At.Equal(time.Date(2024, 3, 14, 9, 14, 0, 0, time.UTC)) {
		t.Errorf("%+v %+v", e, e.Evidence)
	}
	d, _ := h.Contacts.Get(t.Context(), "dan@example.com")
	sheet, _ = h.Consent.Show(t.Context(), d.ID)
	if e := sheet.History[2]; e.Evidence.Source != "audience Shop (No longer interested)" {
		t.Errorf("%+v", e.Evidence)
	}
	// An old "yes" again does not overturn the "no".
	old := strings.ReplaceAll(mailchimpSubscribed, "ada@example.com", "dan@example.com")
	old = strings.ReplaceAll(old, "2024-03-14", "2020-03-14")
	h.Import(t, old, o)
	checkAll(t, h, map[string]want{"dan@example.com": {consent.No, consent.Withdrawn, ""}})
}

func TestPresetWithoutSourcePermitsNobody(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, mailchimpSubscribed, contacts.ImportOptions{Preset: "mailchimp", About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}})
	if rep.Created != 3 || rep.People["not_permitted"] != 3 || rep.People["permitted"] != 0 || rep.History["refused"] != 2 {
		t.Fatalf("%+v", rep)
	}
}

func TestPresetListmonk(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, `uuid,email,name,attributes,status,created_at,updated_at
5e0f4b3c-0000-4000-8000-000000000001,fay@example.com,Fay Example,"{""city"":""Bengaluru"",""points"":12.5,""likes"":[1,2],""vip"":true}",enabled,2023-01-02 03:04:05.678901 +0000 UTC,2023-01-02 03:04:05.678901 +0000 UTC
5e0f4b3c-0000-4000-8000-000000000002,gil@example.com,Gil,{},blocklisted,2023-01-02 03:04:05.678901 +0000 UTC,2024-01-02 03:04:05.678901 +0000 UTC
5e0f4b3c-0000-4000-8000-000000000003,hal@example.com,Hal,"{""city"":7}",disabled,2023-01-02 03:04:05.678901 +0000 UTC,2024-01-02 03:04:05.678901 +0000 UTC
`, contacts.ImportOptions{
		Preset: "listmonk", About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Grants: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "list News, double opt-in",
	})
	if rep.Created != 2 || rep.Errors != 1 || !strings.Contains(rep.Listed[0].Reason, "city") || rep.People["permitted"] != 1 || rep.People["suppressed"] != 1 {
		t.Fatalf("%+v", rep)
	}
	checkAll(t, h, map[string]want{
		"fay@example.com": {consent.Yes, consent.Granted, ""},
		"gil@example.com": {consent.No, consent.Withdrawn, consent.Unsubscribed},
	})
	c, _ := h.Contacts.Get(t.Context(), "fay@example.com")
	for _, part := range []string{`"city":"Bengaluru"`, `"points":12.5`, `"vip":true`, `"listmonk_uuid"`} {
		if !strings.Contains(string(c.Attributes), part) {
			t.Errorf("%s lacks %s", c.Attributes, part)
		}
	}
}

func TestPresetKeila(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	o := contacts.ImportOptions{Preset: "keila", About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "form of 2023"}
	rep := h.Import(t, `Email,First name,Last name,Status,External ID,Data
ida@example.com,Ida,Example,active,7,"{""tags"":[""a""]}"
jon@example.com,Jon,Example,unsubscribed,8,
kim@example.com,Kim,Example,unreachable,9,
`, o)
	if rep.Created != 3 || rep.People["not_permitted"] != 1 || rep.People["refused"] != 1 || rep.People["suppressed"] != 1 {
		t.Fatalf("%+v", rep)
	}
	checkAll(t, h, map[string]want{
		"ida@example.com": {},
		"jon@example.com": {consent.No, consent.Withdrawn, ""},
		"kim@example.com": {"", "", consent.HardBounce},
	})
	if c, err := h.Contacts.Get(t.Context(), "8"); err != nil || c.ExternalID != "8" {
		t.Error(c, err)
	}
}

func TestPresetMauticAndBrevo(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	about := []contacts.Grant{{Driver: "mailer", Topic: "news"}}
	rep := h.Import(t, "id,points,firstname,lastname,email,timezone,preferred_locale,doNotContact\n1,5,Lea,Example,lea@example.com,Europe/Berlin,de,1\n2,,Max,,max@example.com,nowhere,,0\n", contacts.ImportOptions{Preset: "mautic", About: about, Source: "x"})
	if rep.Created != 2 || rep.People["not_permitted"] != 2 || len(rep.Ignored) != 1 || !strings.Contains(rep.Ignored[0], "doNotContact") {
		t.Fatalf("%+v", rep)
	}
	rep = h.Import(t, "EMAIL;FIRSTNAME;LASTNAME;SMS;DOUBLE_OPT-IN;ADDED_TIME;MODIFIED_TIME\nnia@example.com;Nia;Example;;1;2024-01-01 10:00:00;2024-01-02 10:00:00\n", contacts.ImportOptions{Preset: "brevo", About: about, Source: "x"})
	if rep.Created != 1 || rep.People["not_permitted"] != 1 || len(rep.Ignored) != 1 || !strings.Contains(rep.Ignored[0], "DOUBLE_OPT-IN") {
		t.Fatalf("%+v", rep)
	}
}

// A column that says who may not be written to, and cannot be read, is not
// passed over while everybody is granted.
func TestGrantBesideAColumnNobodyReads(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	file := "email,doNotContact\nlea@example.com,1\n"
	o := contacts.ImportOptions{Preset: "mautic", About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Grants: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "x"}
	for _, pending := range []bool{false, true} {
		o.Pending = pending
		if _, err := h.Contacts.Import(t.Context(), storetest.File(file), o); rapport.KindOf(err) != rapport.Invalid || !strings.Contains(err.Error(), "doNotContact") {
			t.Errorf("pending %v: %v", pending, err)
		}
	}
	o.Pending, o.Map = false, map[string]string{"doNotContact": "-"} // somebody has looked at it
	if rep := h.Import(t, file, o); rep.Consents["granted"] != 1 {
		t.Errorf("%+v", rep)
	}
}

// Columns of our own for what happened before, several in one row.
func TestEventColumns(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, "email,event:requested.at,event:confirmed.at,event:confirmed.ip,event:withdrawn.at,event:bounced.at,consent_source\n"+
		"oda@example.com,2020-01-01,2020-01-02,192.0.2.9,2020-01-03,,form\n"+
		"pia@example.com,2020-01-01,2020-01-02,192.0.2.9,,2021-01-01,form\n", contacts.ImportOptions{About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}, Source: "form"})
	if rep.Created != 2 || rep.Errors != 0 || rep.History["recorded"] != 5 || rep.History["suppressed"] != 1 {
		t.Fatalf("%+v", rep)
	}
	checkAll(t, h, map[string]want{"oda@example.com": {consent.No, consent.Withdrawn, ""}, "pia@example.com": {consent.Yes, consent.Confirmed, consent.HardBounce}})
	for _, head := range []string{"email,event:granted\n", "email,event:liked.at\n", "email,event:granted.mood\n"} {
		if _, err := h.Contacts.Import(t.Context(), storetest.File(head), contacts.ImportOptions{About: []contacts.Grant{{Driver: "mailer", Topic: "news"}}}); err == nil {
			t.Errorf("%q is taken", head)
		}
	}
}

func TestOldLines(t *testing.T) {
	h := storetest.NewHouse(t, testkit.Store(t))
	rep := h.Import(t, "email,city,note\ranna@example.com,Rom,\"two\rlines\"\rben@example.com,Bonn,\rbad,,\r", contacts.ImportOptions{})
	if rep.Created != 2 || rep.Errors != 1 || rep.Listed[0].Line != 5 || rep.Form.Lines != "cr" {
		t.Fatalf("%+v", rep)
	}
}
