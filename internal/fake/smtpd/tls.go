package smtpd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// RootCAs is the pool with which a sender trusts the certificate the server made
// for itself; nil without TLS or with Options.TLSConfig. It is valid for
// Options.Name, localhost, 127.0.0.1 and ::1.
func (s *Server) RootCAs() *x509.CertPool { return s.roots }

// RootPEM is the same certificate as PEM, for a sender that wants a file.
func (s *Server) RootPEM() []byte { return s.caPEM }

func (s *Server) prepareTLS() error {
	if s.opts.TLSConfig != nil {
		s.tls = s.opts.TLSConfig
		return nil
	}
	if s.opts.TLS == NoTLS {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	now := s.opts.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: s.opts.Name},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{s.opts.Name, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	switch s.opts.Certificate {
	case Good:
	case Expired:
		template.NotBefore, template.NotAfter = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
	case OtherName:
		template.DNSNames, template.IPAddresses = []string{"another.example.test"}, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(cert)
	s.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.tls = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert}},
		MinVersion:   tls.VersionTLS12,
	}
	return nil
}
