<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Comments of a post and the form.
 */

defined( 'ABSPATH' ) || exit;

if ( post_password_required() ) {
	return;
}
?>
<section class="comments" id="comments" aria-label="<?php esc_attr_e( 'Comments', 'perennial' ); ?>">
	<?php if ( have_comments() ) : ?>
		<?php $perennial_count = get_comments_number(); ?>
		<?php /* translators: %s: number of comments. */ ?>
		<?php $perennial_title = _n( '%s comment', '%s comments', $perennial_count, 'perennial' ); ?>
		<h2><?php echo esc_html( sprintf( $perennial_title, number_format_i18n( $perennial_count ) ) ); ?></h2>
		<ol class="comment-list">
			<?php wp_list_comments( array( 'style' => 'ol', 'avatar_size' => 36, 'short_ping' => true ) ); ?>
		</ol>
		<?php the_comments_pagination(); ?>
	<?php endif; ?>
	<?php
	comment_form(
		array(
			'title_reply_before' => '<h2 id="reply-title">',
			'title_reply_after'  => '</h2>',
		)
	);
	?>
</section>
