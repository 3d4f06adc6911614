// The certificates are copied, but to a folder where Go's crypto/x509 does not look.
//
//kata:caught-by TestCertificates
package dockerfile
