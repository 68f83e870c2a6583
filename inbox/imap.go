package inbox

import "github.com/emersion/go-imap/v2/imapclient"

var _ *imapclient.Client
