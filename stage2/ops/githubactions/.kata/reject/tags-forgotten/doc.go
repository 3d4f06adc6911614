// A filter for branches leaves tags out: a release never happens.
//
//kata:caught-by TestTriggers TestRelease
package githubactions
