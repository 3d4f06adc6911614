// A job that always runs stands between the skipped one and the release: the skip reaches through it, so the release is skipped all the same.
//
//kata:caught-by TestRelease
package githubactions
