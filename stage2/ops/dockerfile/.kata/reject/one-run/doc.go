// Download and compilation share one RUN, "to save a layer": a changed source file repeats both.
//
//kata:caught-by TestDependenciesCached
package dockerfile
