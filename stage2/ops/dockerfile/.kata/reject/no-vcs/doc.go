// Secrets are kept out, but not .git: the remote's address in it holds a password, and each commit changes the context.
//
//kata:caught-by TestIgnore
package dockerfile
