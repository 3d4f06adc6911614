// The patterns are written as for .gitignore; in .dockerignore a pattern without **/ holds at the root of the context only.
//
//kata:caught-by TestIgnore
package dockerfile
