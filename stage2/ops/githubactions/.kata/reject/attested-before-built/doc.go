// The attestation comes before the build: what it is about is not there yet.
//
//kata:caught-by TestRelease
package githubactions
