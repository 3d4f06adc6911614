// FROM scratch, as small as can be: the first call over TLS fails, for there is no root certificate.
//
//kata:caught-by TestCertificates
package dockerfile
