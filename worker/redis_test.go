package worker

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rapport"
)

func TestRedisAddresses(t *testing.T) {
	t.Parallel()
	single := func(addr, user, password string, db int, tls bool) func(*testing.T, redis.UniversalClient) {
		return func(t *testing.T, c redis.UniversalClient) {
			o := c.(*redis.Client).Options()
			if o.Addr != addr || o.Username != user || o.Password != password || o.DB != db || (o.TLSConfig != nil) != tls {
				t.Errorf("options %s %s db %d tls %v", o.Addr, o.Username, o.DB, o.TLSConfig != nil)
			}
		}
	}
	for _, test := range []struct {
		address string
		check   func(*testing.T, redis.UniversalClient)
	}{
		{"redis://localhost:6379", single("localhost:6379", "", "", 0, false)},
		{"rediss://ann:pa%40ss@redis.example:6380/3", single("redis.example:6380", "ann", "pa@ss", 3, true)},
		{"redis-sentinel://:secret@a:26379,b:26380/mymaster/2?sentinel_password=other", func(t *testing.T, c redis.UniversalClient) {
			o := c.(*redis.Client).Options()
			if o.Addr != "FailoverClient" || o.DB != 2 || o.Password != "secret" {
				t.Errorf("options %s db %d", o.Addr, o.DB)
			}
		}},
		{"redis-cluster://ann:secret@a:7000,b:7001?tls=true", func(t *testing.T, c redis.UniversalClient) {
			o := c.(*redis.ClusterClient).Options()
			if strings.Join(o.Addrs, " ") != "a:7000 b:7001" || o.Username != "ann" || o.Password != "secret" || o.TLSConfig == nil {
				t.Errorf("options %v %s", o.Addrs, o.Username)
			}
		}},
	} {
		t.Run(strings.ReplaceAll(test.address, "/", "|"), func(t *testing.T) {
			t.Parallel()
			c, err := OpenRedis(test.address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			test.check(t, c)
		})
	}
}

func TestBadRedisAddressesDoNotShowTheirPassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"localhost:6379", "http://:geheim@host", "redis://:geheim@host:port", "redis://:geheim@host:6379/x",
		"redis-sentinel://:geheim@a:26379", "redis-sentinel://:geheim@a/m", "redis-cluster://:geheim@a,b", "redis-cluster://:ge%heim@a:1",
		"redis-sentinel://:geheim@a:1/m/x",
	} {
		_, err := OpenRedis(address)
		if rapport.KindOf(err) != rapport.Invalid {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if strings.Contains(err.Error(), "heim") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestEvictingRedisIsTold(t *testing.T) {
	t.Parallel()
	address := os.Getenv("RAPPORT_TEST_REDIS")
	if address == "" {
		t.Skip("RAPPORT_TEST_REDIS is not set: not asked for its memory policy")
	}
	c, err := OpenRedis(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	policy := c.ConfigGet(t.Context(), "maxmemory-policy").Val()["maxmemory-policy"]
	err = CheckRedis(t.Context(), c)
	if got := errors.Is(err, ErrEviction); got != (policy != "noeviction") {
		t.Errorf("policy %s: %v", policy, err)
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	t.Parallel()
	c, err := OpenRedis("redis://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := CheckRedis(t.Context(), c); err == nil || errors.Is(err, ErrEviction) {
		t.Errorf("got %v", err)
	}
}

func TestEmbeddedRedisLivesByMeasuredTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c, own := openEmbedded("secret", now)
	defer func() {
		_ = c.Close()
		own.server.Close()
	}()
	if err := c.Set(t.Context(), "key", 1, 10*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	own.pass(now.Add(9 * time.Second))
	own.pass(now.Add(8 * time.Second)) // a clock set back is not passed on
	if n := c.Exists(t.Context(), "key").Val(); n != 1 {
		t.Error("expired too early")
	}
	own.pass(now.Add(10 * time.Second))
	if n := c.Exists(t.Context(), "key").Val(); n != 0 {
		t.Error("never expires")
	}
}
