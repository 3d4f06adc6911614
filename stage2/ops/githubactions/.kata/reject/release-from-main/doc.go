// Every push to main attests a release.
//
//kata:caught-by TestRelease
package githubactions
