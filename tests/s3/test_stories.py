"""What clients may rely on whatever keeps the bytes: the stories of tests/services, on S3."""

# ruff: noqa: F401  # pytest finds them here

from tests.services.test_bad_bytes import (
    test_a_part_does_not_change_its_size,
    test_a_repeated_chunk_is_found_out_by_the_digest,
    test_a_wrong_digest_is_told_with_the_right_one,
    test_a_wrong_upload_is_refused_and_leaves_nothing,
)
from tests.services.test_downloads import (
    test_a_range_behind_the_end_is_refused,
    test_any_range_is_what_the_file_has_there,
    test_files_come_by_any_selector,
    test_many_files_come_in_the_order_asked_for,
    test_small_files_come_many_to_a_message,
)
from tests.services.test_sealing import (
    test_a_seal_tells_what_it_sealed,
    test_a_seal_that_was_broken_off_goes_on_where_it_was,
    test_seals_at_once_end_in_one,
)
from tests.services.test_uploads import (
    short_leases,
    test_a_blob_that_is_here_may_be_sent_again,
    test_a_pack_is_all_or_nothing,
    test_a_part_may_be_started_anew,
    test_a_silent_upload_is_taken_over,
    test_a_wrong_part_in_one_namespace_harms_no_other,
    test_an_empty_blob_needs_no_chunk,
    test_an_upload_that_goes_on_keeps_its_lease,
    test_any_size_comes_back_as_it_was,
    test_many_blobs_go_over_one_stream,
)
