// "The base image is the nonroot one": today it is. Nothing in the Dockerfile says so, and no admission policy can see it.
//
//kata:caught-by TestNotRoot
package dockerfile
