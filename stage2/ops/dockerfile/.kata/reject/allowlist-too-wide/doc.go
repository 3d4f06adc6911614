// Everything is ignored but what is needed; the exceptions take whole folders back in, with the secrets that lie in them.
//
//kata:caught-by TestIgnore
package dockerfile
