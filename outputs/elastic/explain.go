package elastic

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
)

// IsTLS tells whether the two sides could not agree on TLS: then nothing was sent.
func IsTLS(err error) bool {
	var (
		unknown *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	return errors.As(err, &unknown) || errors.As(err, &record) || errors.As(err, &alert)
}

// Remedy says in a sentence what the person who runs this can do about an error, "" where there is nothing to do but wait.
func Remedy(err error) string {
	var re *RequestError
	if !errors.As(err, &re) {
		return ""
	}
	switch re.Status {
	case 0:
		return remedyOfWay(re.Err)
	case http.StatusUnauthorized:
		return "check api_key, or username and password: the server does not know them"
	case http.StatusForbidden:
		return "give the key or user the privileges auto_configure and create_doc on logs-gatebook.*"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "check hosts: what answers there does not take bulk requests"
	case http.StatusTooManyRequests:
		return "the cluster takes no more at present; it is tried again"
	case http.StatusRequestEntityTooLarge:
		return "raise http.max_content_length, or the limit of the proxy in front, or lower batch"
	}
	if re.Status >= 300 && re.Status < 400 {
		return "check hosts: what answers there sends us elsewhere"
	}
	return ""
}

func remedyOfWay(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		dns       *net.DNSError
	)
	switch {
	case errors.As(err, &authority):
		return "set ca to the PEM file of the authority that signed the server's certificate"
	case errors.As(err, &name):
		return "use in hosts a name that stands in the server's certificate"
	case errors.As(err, &invalid):
		return "renew the server's certificate, or check this machine's clock"
	case errors.As(err, &record):
		return "the server does not speak TLS there: write http:// in hosts, or use its TLS port"
	case errors.As(err, &alert):
		return "the server refuses our certificate: check cert and key"
	case errors.As(err, &dns):
		return "check the host name in hosts"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check hosts, and that the server runs"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "the server does not answer in time: check that it runs, and the way to it"
	}
	return ""
}
