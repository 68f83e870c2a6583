package responses

import (
	"slices"
	"strings"
	"testing"
)

func TestHear(t *testing.T) {
	for _, c := range []struct {
		text string
		want Wish
	}{
		{"STOP", Stop},
		{"stop", Stop},
		{"Stop!", Stop},
		{"  *stop*  ", Stop},
		{"Stop.\r\n", Stop},
		{"S\u200bT\u200cO\u200dP", Stop},
		{"ＳＴＯＰ", Stop},
		{"\ufeffstop", Stop},
		{"sto\u00adp", Stop},
		{"STOP\n\nAnna Lind", Stop},
		{"Stop please, thank you!\n\nKind regards\nAnna Lind", Stop},
		{"Please unsubscribe me.", Stop},
		{"Please don't email me", Stop},
		{"Please don’t e-mail me", Stop},
		{"Unsubscribe", Stop},
		{"opt-out", Stop},
		{"OPTOUT", Stop},
		{"stop all", StopAll},
		{"STOPALL", StopAll},
		{"Unsubscribe from all!", StopAll},
		{"Bitte von allem abmelden", StopAll},
		{"Abmelden", Stop},
		{"Bitte melden Sie mich ab. Danke.", Stop},
		{"ABBESTELLEN!!!", Stop},
		{"Stopp", Stop},
		{"keine Werbung mehr", Stop},
		{"Hiermit widerrufe ich meine Einwilligung.\nMit freundlichen Grüßen\nAnna Lind", Stop},
		{"ARRÊT", Stop},
		{"arret", Stop},
		{"Arre\u0302t", Stop},
		{"Me désabonner, s'il vous plaît", Stop},
		{"Ne m'écrivez plus", Stop},
		{"désinscription", Stop},
		{"BAJA", Stop},
		{"Dar de baja por favor", Stop},
		{"Quiero darme de baja.", Stop},
		{"Disiscrivimi", Stop},
		{"Cancellatemi dalla lista, grazie", Stop},
		{"Afmelden", Stop},
		{"Meld mij af a.u.b.", Stop},
		{"Uitschrijven graag", Stop},
		{"Wypisz mnie", Stop},
		{"REZYGNUJĘ", Stop},
		{"rezygnuje", Stop},
		{"Cancelar inscrição", Stop},
		{"Descadastrar", Stop},
		{"PARAR", Stop},
		{"Avregistrera mig", Stop},
		{"Afmeld", Stop},
		{"Meld meg av", Stop},
		{"Lopeta", Stop},
		{"Odhlásit", Stop},
		{"Přestaňte mi psát!", Stop},
		{"Abonelikten çık", Stop},
		{"LİSTEDEN ÇIKAR", Stop},
		{"Leiratkozás", Stop},
		{"Dezabonare", Stop},
		{"ΔΙΑΓΡΑΦΉ", Stop},
		{"Отписаться", Stop},
		{"Відписатися", Stop},
		{"配信停止", Stop},
		{"退订", Stop},

		{"", NoWish},
		{" \n\t", NoWish},
		{"Thanks!", NoWish},
		{"Yes, I will come", NoWish},
		{"Stopwatch", NoWish},
		{"Peru", Perhaps},
		{"cancel", Perhaps},
		{"No thanks", Perhaps},
		{"ENDE", Perhaps},
		{"Kündigung", Perhaps},
		{"When does the offer stop? I would like to order two pots before.", Perhaps},
		{"Could you stop by at our office on Monday? We would like to talk about the new order and its delivery.", Perhaps},
		{"Stop?\n", Stop},
		{"Stop\nI did not say that you should send more of these", Perhaps},
		{"Stop\nwhat is this?", Perhaps},
		{"I love your newsletter. Never change, see you in spring at the fair in Berlin.", NoWish},
		{"Please unsubscribe my colleague, but keep me on the list.", Perhaps},
		{strings.Repeat("a", 1<<20), NoWish},
		{strings.Repeat("stop ", 1<<18), Perhaps},
		{"\xff\xfe\xfd", NoWish},
	} {
		if got := Hear(c.text); got.Wish != c.want {
			t.Errorf("%.60q: %s (%s, %q), want %s", c.text, got.Wish, got.Language, got.Words, c.want)
		}
	}
}

// TestEveryPhraseIsHeard: what stands in the table is understood as written,
// in capitals, full width, with courtesy and a name.
func TestEveryPhraseIsHeard(t *testing.T) {
	v, err := readWords("stop.yaml", stopFile)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(v.languages); n < 10 || len(slices.Compact(slices.Sorted(slices.Values(v.languages)))) != n {
		t.Errorf("%d languages: %v", n, v.languages)
	}
	wide := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7f {
				return r + 0xfee0
			}
			return r
		}, s)
	}
	clear := 0
	for _, h := range v.phrases {
		for _, text := range []string{h.Words, strings.ToUpper(h.Words), wide(h.Words), " " + h.Words + "!!", strings.Join(strings.Split(h.Words, ""), "\u200b")} {
			if got := Hear(text); got.Wish != h.Wish {
				t.Errorf("%s %q: %s, want %s", h.Language, text, got.Wish, h.Wish)
			}
		}
		if h.Wish == Perhaps {
			continue
		}
		clear++
		if got := Hear(h.Words + "\n\nAnna Lind"); got.Wish != h.Wish {
			t.Errorf("%s %q above a name: %s", h.Language, h.Words, got.Wish)
		}
		if got := Hear("One thing about the letter of last week, which I read in the train, is this: " + h.Words + " and more of it"); got.Wish == Stop || got.Wish == StopAll {
			t.Errorf("%s %q somewhere in a text: %s", h.Language, h.Words, got.Wish)
		}
	}
	if clear < 200 {
		t.Errorf("only %d phrases", clear)
	}
}

func TestAppendedBy(t *testing.T) {
	for line, want := range map[string]bool{
		"Sent from my iPhone": true, "Von meinem iPhone gesendet": true, "Envoyé de mon iPhone": true, "Get Outlook for Android": true,
		"I sent it from home": false, "": false,
	} {
		if AppendedBy(line) != want {
			t.Errorf("%q: %t", line, !want)
		}
	}
}

func FuzzHear(f *testing.F) {
	f.Add("STOP")
	f.Add("bitte \u200babmelden\n--\nAnna")
	f.Fuzz(func(t *testing.T, text string) {
		once := Hear(text)
		if again := Hear(text); again != once {
			t.Error("one text is heard in two ways")
		}
		if p := plain(text); plain(p) != p {
			t.Errorf("%q is not plain yet: %q", p, plain(p))
		}
	})
}
