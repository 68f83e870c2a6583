package slack

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"rapport/channels"
)

var (
	userID         = regexp.MustCompile(`^[UW][A-Z0-9]{2,30}$`)
	conversationID = regexp.MustCompile(`^[CGD][A-Z0-9]{2,30}$`)
)

// normalize takes the ID of a user or of a conversation, or an e-mail address.
func normalize(text string) (string, error) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "@") && !strings.HasPrefix(text, "@") {
		return channels.Email.Normalize(text)
	}
	id := strings.ToUpper(text)
	if userID.MatchString(id) || conversationID.MatchString(id) {
		return id, nil
	}
	return "", fmt.Errorf("%q is not a Slack address; write a member ID like U012AB3CD, a channel ID like C012AB3CD, or the person's e-mail address in Slack", text)
}

// cache remembers up to about twice max answers of the workspace: when the
// young generation is full it becomes the old one, and what is still asked for
// moves over.
type cache struct {
	max int

	mu         sync.Mutex
	young, old map[string]string
}

func (c *cache) get(key string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.put(key, v)
	}
	return v, ok
}

func (c *cache) set(key, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(key, value)
}

func (c *cache) put(key, value string) {
	if c.young == nil || len(c.young) >= c.max {
		c.old, c.young = c.young, map[string]string{}
	}
	c.young[key] = value
}

func (c *cache) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, key)
	delete(c.old, key)
}
