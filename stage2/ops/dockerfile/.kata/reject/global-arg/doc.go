// ARG VERSION stands above the first FROM: only FROM lines see it there, and the program's version is empty.
//
//kata:caught-by TestVersion
package dockerfile
