// Shout writes its input in upper case.
package main

func main() {
	panic("TODO: shout")
}
