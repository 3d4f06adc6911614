// A user is made in the last stage, as one does on Debian; a distroless image has neither adduser nor a shell to call it.
//
//kata:caught-by TestBuilds
package dockerfile
