// always() was to keep a skipped job from skipping the release; it also releases what has failed.
//
//kata:caught-by TestFailures
package githubactions
