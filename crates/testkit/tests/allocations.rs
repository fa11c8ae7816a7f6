//! The allocation counter: a binary of its own, as it takes the allocator.

use tidegate_testkit::allocations;

tidegate_testkit::count_allocations!();

#[test]
fn allocations_of_this_thread_are_counted_and_no_others() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1, 2, 3]))), 1);
    let (ready, wait) = std::sync::mpsc::sync_channel(0);
    let other = std::thread::spawn(move || {
        // Ends when nobody listens any more.
        while ready.send(()).is_ok() {
            drop(std::hint::black_box(vec![0_u8; 64]));
        }
    });
    let heard = allocations(|| (0..100).for_each(|_| wait.recv().expect("the other thread allocates")));
    assert!(heard < 50, "{heard} allocations, of which 100 are another thread's");
    drop(wait);
    other.join().expect("the other thread ends");
}
