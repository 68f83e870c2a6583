package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"rapport"
)

// Patience with Redis is short: it is a bell, and the pump has other ways.
const (
	redisDial  = 2 * time.Second
	redisReply = 3 * time.Second
	redisTries = 2
)

// embedded is a Redis-compatible server inside the process. It holds a window
// of batches and nothing else, so losing it with the process costs nothing.
type embedded struct {
	server *miniredis.Miniredis
	last   time.Time
}

// openEmbedded starts the server without a port: its one client is in memory.
func openEmbedded(password string, now time.Time) (redis.UniversalClient, *embedded) {
	logging.Disable() // it has its own log, and every error comes back to us as well
	m := miniredis.NewMiniRedis()
	m.RequireAuth(password)
	client := redis.NewClient(&redis.Options{
		Password: password, Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
		DisableIdentity: true, Protocol: 2,
	})
	return client, &embedded{m, now}
}

// pass lets the server's time go on by what has really passed: its keys expire
// only so.
func (e *embedded) pass(now time.Time) {
	if d := now.Sub(e.last); d > 0 {
		e.server.FastForward(d)
	}
	e.last = now
}

// OpenRedis makes a client for an address; nothing is dialled yet. Accepted
// are redis:// and rediss:// (TLS) with user, password and database number,
//
//	redis-sentinel://[user:password@]host:port,host:port/MASTER[/DB][?sentinel_password=…&tls=true]
//	redis-cluster://[user:password@]host:port,host:port[?tls=true]
//
// An address that cannot be read is an Invalid error that does not repeat it,
// as it may hold a password.
func OpenRedis(address string) (redis.UniversalClient, error) {
	logging.Disable() // it has its own log, and every error comes back to us as well
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil, badRedis("it must begin with redis://, rediss://, redis-sentinel:// or redis-cluster://")
	}
	switch scheme {
	case "redis", "rediss", "unix":
		o, err := redis.ParseURL(address)
		if err != nil {
			return nil, badRedis("write it like redis://user:password@host:6379/0")
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = redisDial, redisReply, redisReply, redisTries
		return redis.NewClient(o), nil
	case "redis-sentinel":
		return openSentinel(rest)
	case "redis-cluster":
		return openCluster(rest)
	}
	return nil, badRedis("it must begin with redis://, rediss://, redis-sentinel:// or redis-cluster://")
}

func badRedis(why string) error {
	return rapport.Invalidf("redis", "the address of Redis cannot be used: %s", why)
}

// several reads an address that names more than one host.
func several(rest, scheme string) (*url.URL, []string, error) {
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	user := ""
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, authority = authority[:at+1], authority[at+1:]
	}
	hosts := strings.Split(authority, ",")
	for _, h := range hosts {
		if _, _, err := net.SplitHostPort(h); err != nil {
			return nil, nil, badRedis("name each host with its port, like host-a:6379,host-b:6379")
		}
	}
	if scheme == "rediss" {
		scheme = "redis"
	}
	u, err := url.Parse(scheme + "://" + user + hosts[0] + rest[end:])
	if err != nil {
		return nil, nil, badRedis("user, password or path hold a sign that must be written as %XX")
	}
	return u, hosts, nil
}

func openSentinel(rest string) (redis.UniversalClient, error) {
	u, hosts, err := several(rest, "redis")
	if err != nil {
		return nil, err
	}
	master, db, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if master == "" {
		return nil, badRedis("name the master, like redis-sentinel://host:26379/mymaster")
	}
	q := u.Query()
	q.Set("master_name", master)
	for _, h := range hosts[1:] {
		q.Add("addr", h)
	}
	scheme := "redis"
	if q.Get("tls") == "true" {
		scheme = "rediss"
	}
	sentinelPassword, sentinelUser := q.Get("sentinel_password"), q.Get("sentinel_username")
	for _, own := range []string{"tls", "sentinel_password", "sentinel_username"} {
		q.Del(own)
	}
	plain := url.URL{Scheme: scheme, Host: u.Host, Path: "/" + db, RawQuery: q.Encode()}
	o, err := redis.ParseFailoverURL(plain.String())
	if err != nil {
		return nil, badRedis("write it like redis-sentinel://user:password@host-a:26379,host-b:26379/mymaster/0")
	}
	o.SentinelUsername, o.SentinelPassword = sentinelUser, sentinelPassword
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // that of the server that is dialled
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = redisDial, redisReply, redisReply, redisTries
	return redis.NewFailoverClient(o), nil
}

func openCluster(rest string) (redis.UniversalClient, error) {
	u, hosts, err := several(rest, "redis")
	if err != nil {
		return nil, err
	}
	q := u.Query()
	scheme := "redis"
	if q.Get("tls") == "true" {
		scheme = "rediss"
	}
	q.Del("tls")
	for _, h := range hosts[1:] {
		q.Add("addr", h)
	}
	plain := url.URL{Scheme: scheme, User: u.User, Host: u.Host, RawQuery: q.Encode()}
	o, err := redis.ParseClusterURL(plain.String())
	if err != nil {
		return nil, badRedis("write it like redis-cluster://user:password@host-a:6379,host-b:6379")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.MaxRetries = redisDial, redisReply, redisReply, redisTries
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // that of the server that is dialled
	}
	return redis.NewClusterClient(o), nil
}

// ErrEviction is what CheckRedis says about a Redis that may throw tasks away.
var ErrEviction = errors.New("this Redis may throw keys away when its memory is full; set maxmemory-policy to noeviction")

// CheckRedis asks Redis for an answer and for what it does when its memory is
// full. The queue works with any policy, but waits a minute for every task
// that was thrown away.
func CheckRedis(ctx context.Context, client redis.UniversalClient) error {
	info, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return fmt.Errorf("ask Redis about its memory: %w", err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "maxmemory_policy" && value != "noeviction" {
			return fmt.Errorf("%w (it is %s)", ErrEviction, value)
		}
	}
	return nil
}
