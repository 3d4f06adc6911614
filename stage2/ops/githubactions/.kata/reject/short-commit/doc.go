// A shortened commit is taken for a pin; GitHub takes it for a tag or a branch of that name.
//
//kata:caught-by TestPinned
package githubactions
