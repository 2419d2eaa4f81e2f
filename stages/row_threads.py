"""Compute the rows of many batches on a fixed number of threads, without a barrier between batches."""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Compute = Callable[[list[Tensor]], list[Tensor]]
"""Arguments [B, ...] to results [B, ...]."""

Done = Callable[[list[Tensor] | Exception], None]
"""Receives the results of a batch, or the exception that its computation raised."""

MOST_ROWS_PER_TASK = 8
"""Rows that one thread computes in one call, at most, and only while many rows wait: a call costs some 0.2 ms."""


class _Batch:
    """The rows of one request, and what has been computed of them."""

    def __init__(self, arguments: list[Tensor], done: Done) -> None:
        self.arguments, self.done = arguments, done
        self.n_rows = len(arguments[0])
        self.next_row = 0
        self.shape = tuple((tensor.shape[1:], tensor.dtype) for tensor in arguments)
        self._missing = self.n_rows
        self._results: list[Tensor] = []
        self._error: Exception | None = None

    def keep(self, start: int, results: list[Tensor]) -> bool:
        """Store the results of some rows; whether the batch is complete. Called with the lock held."""
        if not self._results:
            self._results = [result.new_empty(self.n_rows, *result.shape[1:]) for result in results]
        for all_rows, some in zip(self._results, results, strict=True):
            all_rows[start : start + len(some)] = some
        self._missing -= len(results[0])
        return self._missing == 0

    def fail(self, n_rows: int, error: Exception) -> bool:
        """Note that some rows failed; whether the batch is complete. Called with the lock held."""
        self._error = self._error or error
        self._missing -= n_rows
        return self._missing == 0

    def finish(self) -> None:
        """Hand over results or error."""
        try:
            self.done(self._error or self._results)
        except Exception:  # the thread goes on with the rows of others
            traceback.print_exc()


class RowThreads:
    """A queue of rows and the threads that empty it.

    No thread is idle while a row waits, whatever batch the row came in. A single row that finds all threads idle is
    computed by its caller, on all cores (`all_cores_if_idle`). Rows are computed in the order in which they came.

    Args:
        compute: called from several threads at a time.
        threads: how many; each computes on one core.
    """

    def __init__(self, compute: Compute, threads: int) -> None:
        self._compute, self._n_threads = compute, threads
        self._condition = threading.Condition()
        self._queue: deque[_Batch] = deque()
        self._waiting = 0  # rows in the queue
        self._running = 0  # threads at work, a caller of `all_cores_if_idle` among them
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"rows {number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, arguments: list[Tensor], done: Done) -> None:
        """Queue the rows of a batch.

        Args:
            arguments: tensors [B, ...] with the same B, at least 1.
            done: called from one of the threads when all rows are computed.
        """
        with self._condition:
            self._queue.append(batch := _Batch(arguments, done))
            self._waiting += batch.n_rows
            self._condition.notify(batch.n_rows)

    @contextmanager
    def all_cores_if_idle(self) -> Iterator[bool]:
        """Whether nothing runs or waits. If so, rows that come before the block ends wait for its end."""
        with self._condition:
            idle = not self._running and not self._waiting
            self._running += self._n_threads * idle
        try:
            yield idle
        finally:
            with self._condition:
                self._running -= self._n_threads * idle
                self._condition.notify_all()

    def close(self) -> None:
        """Compute what waits, and end the threads."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        # PyTorch keeps the number of threads of an operation for each calling thread, once it has been asked for.
        torch.set_num_threads(1)
        torch.get_num_threads()
        while task := self._next_task():
            try:
                results: list[Tensor] | Exception = self._compute(_joined(task))
            except Exception as error:
                results = error
            for batch in self._keep(task, results):
                batch.finish()

    def _next_task(self) -> "list[tuple[_Batch, int, int]]":
        """Rows to compute next, as batch, first row and end; empty when there will be none."""
        with self._condition:
            while not self._waiting or self._running >= self._n_threads:
                if self._closing and not self._waiting:
                    return []
                self._condition.wait()
            self._running += 1
            return self._take(max(1, min(MOST_ROWS_PER_TASK, self._waiting // (2 * self._n_threads))))

    def _take(self, n_rows: int) -> "list[tuple[_Batch, int, int]]":
        task: list[tuple[_Batch, int, int]] = []
        while n_rows and self._queue and (not task or self._queue[0].shape == task[0][0].shape):
            batch = self._queue[0]
            start, end = batch.next_row, min(batch.n_rows, batch.next_row + n_rows)
            batch.next_row = end
            if end == batch.n_rows:
                self._queue.popleft()
            n_rows -= end - start
            self._waiting -= end - start
            task.append((batch, start, end))
        return task

    def _keep(self, task: "Sequence[tuple[_Batch, int, int]]", results: list[Tensor] | Exception) -> list[_Batch]:
        """Note what a task gave; the batches that are complete."""
        complete, first = [], 0
        with self._condition:
            self._running -= 1
            for batch, start, end in task:
                if isinstance(results, Exception):
                    is_complete = batch.fail(end - start, results)
                else:
                    is_complete = batch.keep(start, [result[first : first + end - start] for result in results])
                first += end - start
                complete += [batch] * is_complete
            self._condition.notify_all()
        return complete


def _joined(task: "Sequence[tuple[_Batch, int, int]]") -> list[Tensor]:
    parts = [[tensor[start:end] for tensor in batch.arguments] for batch, start, end in task]
    return parts[0] if len(parts) == 1 else [torch.cat(tensors) for tensors in zip(*parts, strict=True)]
