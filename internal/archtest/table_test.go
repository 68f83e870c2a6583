package archtest

// room is a package's place in the house. It may import every package on a
// lower floor, and those of its own floor that are named.
type room struct {
	floor int
	may   []string
	exam  bool // used by tests only, so it may what tests may
}

// rooms lists every package of the module; one that is missing fails the test.
var rooms = map[string]room{
	// 0: the words; standard library only.
	".":                  {floor: 0},
	"internal/secret":    {floor: 0},
	"internal/csvtext":   {floor: 0},
	"internal/lifecycle": {floor: 0},
	"internal/progress":  {floor: 0},
	"internal/failpoint": {floor: 0},
	"internal/throttle":  {floor: 0},

	// 1: contracts, plain settings, the condition language, careful HTTP.
	"channels":            {floor: 1},
	"conditions":          {floor: 1},
	"calendars":           {floor: 1, may: []string{"internal/strictyaml"}},
	"internal/httpx":      {floor: 1},
	"internal/strictyaml": {floor: 1},
	"config":              {floor: 1, may: []string{"channels", "internal/strictyaml"}},

	// 2: the domain; its rooms do not know each other.
	"access":            {floor: 2},
	"consent":           {floor: 2},
	"contacts":          {floor: 2},
	"events":            {floor: 2},
	"outbox":            {floor: 2},
	"responses":         {floor: 2},
	"templates":         {floor: 2},
	"templates/library": {floor: 2, may: []string{"templates"}},

	// 3: the use cases people see.
	"campaigns":   {floor: 3},
	"inbox":       {floor: 3},
	"requests":    {floor: 3},
	"rights":      {floor: 3},
	"preferences": {floor: 3, may: []string{"requests"}},

	// 4: adapters to the world; siblings never meet. The fakes are the world's
	// side of it: real little servers for the demo, tests and benchmarks.
	"inbox/imap":       {floor: 4},
	"store":            {floor: 4},
	"worker":           {floor: 4},
	"web":              {floor: 4, may: []string{"web/api", "web/inbound", "web/public", "web/report", "web/ui"}},
	"web/api":          {floor: 4},
	"web/inbound":      {floor: 4},
	"web/public":       {floor: 4},
	"web/report":       {floor: 4},
	"web/ui":           {floor: 4},
	"channels/email":   {floor: 4},
	"channels/slack":   {floor: 4},
	"channels/webhook": {floor: 4},

	"internal/fake/journal":  {floor: 4},
	"internal/fake/relay":    {floor: 4},
	"internal/fake/receiver": {floor: 4, may: []string{"internal/fake/journal"}},
	"internal/fake/imapd":    {floor: 4},
	"internal/fake/smtpd":    {floor: 4, may: []string{"internal/fake/journal", "internal/fake/receiver"}},
	"internal/fake/slack":    {floor: 4, may: []string{"internal/fake/journal", "internal/fake/receiver"}},
	"internal/fake/webhook":  {floor: 4, may: []string{"internal/fake/journal", "internal/fake/receiver"}},

	// 5: who knows everybody, and the examinations.
	"channels/all":         {floor: 5},
	"channels/channeltest": {floor: 5, exam: true},
	"store/storetest":      {floor: 5, exam: true},
	"internal/testkit":     {floor: 5, may: []string{"channels/all"}, exam: true},
	"internal/app":         {floor: 5, may: []string{"channels/all"}},
	"internal/demo":        {floor: 5, may: []string{"channels/all", "internal/app"}},
	"internal/bench":       {floor: 5, may: []string{"internal/app"}},
	"internal/archtest":    {floor: 5},
	"internal/testreport":  {floor: 5},

	// 6: the doors one comes in by, and what drives the whole.
	"cmd/rapport": {floor: 6},
	"e2e":         {floor: 6},
}

// anywhere marks a dependency that any package may use.
const anywhere = "*"

// keepers lists who may import what from outside: the longest prefix of the
// import path decides. A path ending in /... covers what is below it. Tests
// are free; everything that is linked into the binary is not.
var keepers = map[string][]string{
	"github.com/hibiken/asynq":            {"worker"},
	"github.com/redis/go-redis":           {"worker"},
	"github.com/alicebob/miniredis":       {"worker"},
	"github.com/jackc/pgx":                {"store"},
	"modernc.org/sqlite":                  {"store"},
	"modernc.org/libc":                    {"store"},
	"github.com/pressly/goose":            {"store"},
	"github.com/wneessen/go-mail":         {"channels/email"},
	"github.com/sony/gobreaker":           {"channels/email"},
	"github.com/slack-go/slack":           {"channels/slack"},
	"github.com/standard-webhooks":        {"channels/webhook"},
	"github.com/goccy/go-yaml":            {"internal/strictyaml"},
	"github.com/google/uuid":              {"."},
	"github.com/nyaruka/phonenumbers":     {"channels"},
	"golang.org/x/net/idna":               {"channels", "internal/httpx"},
	"golang.org/x/net/http/httpguts":      {"channels/webhook"},
	"cel.dev/cel-go":                      {"conditions"},
	"github.com/osteele/liquid":           {"templates"},
	"golang.org/x/net/html":               {"templates", "inbox"},
	"golang.org/x/text":                   {"contacts"},
	"golang.org/x/text/unicode/norm":      {"channels", "responses"},
	"golang.org/x/text/encoding":          {"contacts", "inbox"},
	"github.com/emersion/go-imap":         {"inbox/imap", "internal/fake/imapd"},
	"github.com/robfig/cron":              {"campaigns"},
	"github.com/prometheus/client_golang": {"worker", "web", "internal/app"},
	"code.dny.dev/ssrf":                   {"internal/httpx"},
	"github.com/spf13/cobra":              {"cmd/rapport"},
	"github.com/schollz/progressbar":      {"cmd/rapport"},
	"github.com/lmittmann/tint":           {"cmd/rapport"},
	"github.com/jhillyerd/enmime":         {"internal/fake/smtpd"},
	"golang.org/x/sync":                   {anywhere},
}

// drivers are the names that only a driver's own folders may spell out.
var drivers = []string{"email", "slack", "webhook"}

// spells lists further files or folders that may spell a driver's name.
var spells = map[string][]string{
	"email":   {"channels/email", "channels/all", "channels/address.go", "internal/fake/smtpd", "internal/fake/slack"},
	"slack":   {"channels/slack", "channels/all", "internal/fake/slack"},
	"webhook": {"channels/webhook", "channels/all", "internal/fake/webhook"},
}

// world lists what the rooms of some floors may not touch, because it is
// handed in to them.
var world = []struct {
	floors []int
	names  []string
}{
	{[]int{0, 2, 3}, []string{"time.Now", "time.Since", "time.Until", "http.DefaultClient", "http.DefaultTransport", "http.Get", "http.Post", "net.Dial"}},
	{[]int{0, 1, 2, 3, 4}, []string{"os.Getenv", "os.LookupEnv", "os.Environ"}},
}

// outside may read the world on any floor: it is built for fault tests only.
var outside = []string{"internal/failpoint"}

// How long a file may be that nobody generated, and one of tests.
const (
	maxLines     = 450
	maxTestLines = 650
)
