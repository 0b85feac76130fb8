# This module contains CPU-bound programs in pure Python, which are similar to real
# programs. The module prints the times of the programs in seconds.
import json
from time import perf_counter


def calls():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    fib(30)


def floats():
    x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ in range(1_000_000):
        r3 = (x * x + y * y) ** 1.5
        vx -= 0.001 * x / r3
        vy -= 0.001 * y / r3
        x += 0.001 * vx
        y += 0.001 * vy


def lists():
    n = 100_000
    for _ in range(8):
        sieve = [True] * n
        for i in range(2, int(n**0.5) + 1):
            if sieve[i]:
                sieve[i * i :: i] = [False] * len(range(i * i, n, i))
        sorted(range(n), key=lambda v: v * 7919 % 104729)


def dictionaries():
    counts = {}
    for i in range(1_500_000):
        key = i * 2654435761 % 5003
        counts[key] = counts.get(key, 0) + 1


def strings():
    for _ in range(10):
        words = [f"word{i % 997}" for i in range(60_000)]
        " ".join(words).upper().split("D")
        for word in words:
            word.replace("o", "0").startswith("w0")


def objects():
    class Node:
        def __init__(self, value, following):
            self.value, self.following = value, following

    for _ in range(12):
        head = None
        for i in range(50_000):
            head = Node(i, head)
        while head:
            head = head.following


def seconds(kernels):
    start = perf_counter()
    for kernel in kernels:
        kernel()
    return perf_counter() - start


# Measure programs that allocate much memory separately, because a sandbox must get this
# memory from the host.
computing = calls, floats, dictionaries, strings
allocating = lists, objects
print(json.dumps({"computing": seconds(computing), "allocating": seconds(allocating)}))
