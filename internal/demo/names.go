package demo

// culture is where names, places and languages go together. A name may carry
// its spelling in ASCII behind a bar.
type culture struct {
	share   int // of a hundred people
	locales []string
	first   []string
	last    []string
	places  []place
}

type place struct{ city, country, zone string }

// cultures returns the people we invent; the shares add up to a hundred.
// Only English and German letters are written, so the others get the fallback.
func cultures() []culture {
	return []culture{
		{
			share: 34, locales: []string{"de", "de", "de", "de-AT", "de-CH"},
			first: []string{"Anna", "Jürgen", "Käthe", "Björn", "Jörg", "Grit", "Mia", "Lennart", "Zoë", "Heike", "Götz", "Ulrike", "Ümit", "Saskia", "Matthias", "Änne"},
			last:  []string{"Größmann", "Müllerfeld", "Weißenborn", "Königsberger", "Lindner", "Strauß-Ehlers", "Brückmann", "Öztürk-Vogel", "Hohenwart", "Kröger", "Jäger", "Schönfeld", "Ahlersmeyer", "Bäumler"},
			places: []place{
				{"Berlin", "DE", "Europe/Berlin"},
				{"Köln", "DE", "Europe/Berlin"},
				{"München", "DE", "Europe/Berlin"},
				{"Hamburg", "DE", "Europe/Berlin"},
				{"Görlitz", "DE", "Europe/Berlin"},
				{"Wien", "AT", "Europe/Vienna"},
				{"Zürich", "CH", "Europe/Zurich"},
			},
		},
		{
			share: 30, locales: []string{"en", "en-GB", "en-US", "en-AU", "en"},
			first: []string{"Olivia", "Noah", "Ada", "Maeve", "Theo", "Siân", "Jack", "Imogen", "Zara", "Rory", "Winifred", "Callum", "Priya", "Desmond", "Chloë"},
			last:  []string{"Ashcombe", "O'Hallorane", "Fairweather", "Brightwell", "McTavishy", "Okonjo-Hale", "Pemberly", "Thistlewood", "Quartermain", "Nightingdale", "Harrowgate", "Lowbridge"},
			places: []place{
				{"London", "GB", "Europe/London"},
				{"Cardiff", "GB", "Europe/London"},
				{"Dublin", "IE", "Europe/Dublin"},
				{"New York", "US", "America/New_York"},
				{"San Francisco", "US", "America/Los_Angeles"},
				{"Sydney", "AU", "Australia/Sydney"},
				{"Adelaide", "AU", "Australia/Adelaide"},
			},
		},
		{
			share: 9, locales: []string{"fr", "fr-CA"},
			first:  []string{"Zoé", "François", "Hélène", "Loïc", "Maëlle", "Gaël", "Noémie", "Cédric", "Anaïs"},
			last:   []string{"Beauchêne", "L'Hermine", "Desrosières", "Fontanel", "Châtelain-Roy", "Lefèvrier", "Marcheval", "Aubépin"},
			places: []place{{"Paris", "FR", "Europe/Paris"}, {"Lyon", "FR", "Europe/Paris"}, {"Montréal", "CA", "America/Toronto"}},
		},
		{
			share: 8, locales: []string{"es", "es-MX"},
			first:  []string{"Íñigo", "Begoña", "José", "Lucía", "Ángeles", "Martín", "Ximena", "Raúl"},
			last:   []string{"Peñaverde", "Núñez Alamar", "de la Cañada", "Villalobre", "Muñizábal", "Ibarreche", "Castañeda Ríos"},
			places: []place{{"Madrid", "ES", "Europe/Madrid"}, {"A Coruña", "ES", "Europe/Madrid"}, {"Ciudad de México", "MX", "America/Mexico_City"}},
		},
		{
			share: 7, locales: []string{"pl"},
			first:  []string{"Łucja", "Stanisław", "Małgorzata", "Zbyszko", "Świętosława", "Kamil", "Bożena"},
			last:   []string{"Wiśniowiec", "Dąbrówka", "Źródłowska", "Krzyżanek", "Gołąbkiewicz", "Łękawa"},
			places: []place{{"Łódź", "PL", "Europe/Warsaw"}, {"Kraków", "PL", "Europe/Warsaw"}, {"Gdańsk", "PL", "Europe/Warsaw"}},
		},
		{
			share: 6, locales: []string{"tr"},
			first:  []string{"Çağla", "İsmail", "Ayşegül", "Oğuz", "Şebnem", "Ilgın", "Gülşah"},
			last:   []string{"Yıldırımoğlu", "Çiçekli", "Özgünay", "Karadağlı", "Şirinçay", "Güneşer"},
			places: []place{{"İstanbul", "TR", "Europe/Istanbul"}, {"İzmir", "TR", "Europe/Istanbul"}, {"Eskişehir", "TR", "Europe/Istanbul"}},
		},
		{
			share: 6, locales: []string{"ja"},
			first:  []string{"結衣|yui", "大輔|daisuke", "さくら|sakura", "健太|kenta", "美穂|miho", "陽翔|haruto"},
			last:   []string{"青柳野|aoyagino", "星見|hoshimi", "森下田|morishitada", "水無川|minagawa", "白鳥沢|shiratorizawa"},
			places: []place{{"東京", "JP", "Asia/Tokyo"}, {"札幌", "JP", "Asia/Tokyo"}, {"京都", "JP", "Asia/Tokyo"}},
		},
	}
}

// longNames are what columns and buttons are tried with.
func longNames() [][2]string {
	return [][2]string{
		{"Maximiliane Theodora Wilhelmine", "von der Hohenlinde-Wartburg zu Altenfels und Neuenstein"},
		{"Bartholomew Montgomery Fitzgerald", "Featherstonehaugh-Cholmondeley-Ravenscroft of Upper Thistledown"},
	}
}

// flowers follow a first name now and then.
func flowers() []string { return []string{"🌻", "🐝", "👩‍🌾", "🇪🇺", "✨"} }

// goods is what people bought, with prices in cents.
func goods() []good {
	return []good{
		{"Sauerteig-Set \"Anfang\"", 2450},
		{"Linden blossom honey, 500 g", 1190},
		{"Gießkanne, 5 l", 3400},
		{"Wildflower seeds 🌼", 650},
		{"Café crème, whole beans", 1480},
		{"Wool blanket <large>", 8900},
		{"Apfelsaft & Birnensaft, 6 × 1 l", 1620},
		{"Tea for two", 990},
	}
}

type good struct {
	name  string
	cents int
}

// ascii spells the letters of our lists for a mailbox name.
func ascii(r rune) string {
	switch r {
	case 'ä', 'æ':
		return "ae"
	case 'ö', 'ø':
		return "oe"
	case 'ü':
		return "ue"
	case 'ß':
		return "ss"
	case 'á', 'à', 'â', 'ą', 'ã', 'å':
		return "a"
	case 'ç', 'ć', 'č':
		return "c"
	case 'é', 'è', 'ê', 'ë', 'ę':
		return "e"
	case 'ğ':
		return "g"
	case 'í', 'ì', 'î', 'ï', 'ı':
		return "i"
	case 'ł':
		return "l"
	case 'ñ', 'ń':
		return "n"
	case 'ó', 'ò', 'ô', 'õ':
		return "o"
	case 'ś', 'ş', 'š':
		return "s"
	case 'ú', 'ù', 'û':
		return "u"
	case 'ź', 'ż', 'ž':
		return "z"
	}
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return string(r)
	}
	return ""
}
